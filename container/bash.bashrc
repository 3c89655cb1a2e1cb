# Every bash in the container, login or not: the tutorial's commands and their completion.
# A login shell starts from Debian's own PATH, hence once more what the image's ENV says.
case ":$PATH:" in
  *:/opt/tutorial/venv/bin:*) ;;
  *) PATH=/opt/tutorial/venv/bin:/usr/lib/postgresql/17/bin:$PATH ;;
esac
export PATH
case $- in
  *i*)
    PS1='\[\e[1m\]tutorial\[\e[0m\]:\w\$ '
    # shellcheck source=/dev/null
    [ -r /opt/tutorial/completion ] && . /opt/tutorial/completion
    ;;
esac
