"""JupyterLab's settings, the same in the image and in the embedded start.

Found through JUPYTER_CONFIG_PATH. What differs between the two (address, port, folder,
token) is given on the command line by whoever starts JupyterLab.
"""

import os
from pathlib import Path

c = get_config()  # noqa: F821  (JupyterLab puts it there)

c.ServerApp.open_browser = False
# Another port than the one asked for would be printed, but not published.
c.ServerApp.port_retries = 0

c.LabApp.default_url = "/lab/tree/tutorial/00-start-here.md"

# The extension has no other setting for it.
os.environ["JUPYTER_APP_LAUNCHER_PATH"] = str(Path(__file__).parent / "launcher")

# Nothing is asked of the outside: a seat also runs where there is no network.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"

# It would run npm, conda and others, which write into the person's home folder.
c.LanguageServerManager.autodetect = False

# A trash would lie in ~/.local, which is not the tutorial's.
c.FileContentsManager.delete_to_trash = False

# A reader who pairs a page with an .ipynb is not stopped by two clocks that differ.
c.JupytextConfiguration.outdated_text_notebook_margin = float("inf")
