"""A person decides how to go on where `BaseRestartWorkChain` has no handler."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from aiida.common import AttributeDict
from aiida.engine import BaseRestartWorkChain, ExitCode
from aiida.engine.processes.ports import PortNamespace
from aiida.manage.caching import disable_caching
from aiida.orm import ProcessNode

from .changes import changed_inputs, problem_with, with_decided
from .failure import evidence_of, last_lines, what_happened
from .inputs import described
from .interactive import InteractiveWorkChain
from .kinds import Choice, Json
from .question import Question

__all__ = ["InteractiveRestartWorkChain"]

RESTART, CHANGE, ACCEPT, ABORT = "restart", "change", "accept", "abort"
_MEANING = {
    RESTART: "run it once more as it is",
    CHANGE: "run it once more with other inputs; which, is asked next",
    ACCEPT: "go on with its outputs as they are",
    ABORT: "end with exit code {status}",
}
_SHOWN_INPUTS = 30


class InteractiveRestartWorkChain(  # type: ignore[misc]  # both have a `define`
    InteractiveWorkChain, BaseRestartWorkChain
):
    """A `BaseRestartWorkChain` that asks where it would give up.

    It would where a process fails that no handler deals with, is killed or excepts, and
    where `max_iterations` are used up. A person then decides whether to restart the
    process as it is or with changed inputs, to accept its outputs, or to abort with the
    exit code. Outputs that are accepted stay what they are: the decision counts for the
    work chain, and for nothing that is made of them. Where `on_unhandled_failure` or
    `pause_on_max_iterations` is given, that is done instead.

    To have an existing one ask, name it behind this one:
    `class AskingPwBaseWorkChain(InteractiveRestartWorkChain, PwBaseWorkChain)`.
    """

    def inspect_process(self) -> ExitCode | None:
        """Inspect it as ever, and ask before giving up."""
        code = super().inspect_process()
        if not self.ctx.iteration:
            # `pause_on_max_iterations` of aiida-core 2.9 begins to count anew and keeps
            # the children: the first one would be inspected in place of the next.
            self._count_anew()
        if self.ctx.is_finished:
            self._recall()
        if code is None or not self._asks_before(code):
            return code
        self.ctx.asks_before = code.status
        self.report("not yet: a person is asked how to go on")
        self.ask(self.question_on_failure(self.ctx.children[-1], code))
        return None

    def question_on_failure(self, node: ProcessNode, exit_code: ExitCode) -> Question:
        """Return what to ask; to be overridden, for a deadline or for assignees.

        :param node: the process that was run last.
        :param exit_code: with what the work chain would end.
        """
        happened = what_happened(node)
        if exit_code == self.exit_codes.ERROR_MAXIMUM_ITERATIONS_EXCEEDED:
            most = self.inputs.max_iterations.value
            happened = f"All {most} iterations are used up; {happened}"
        options = [RESTART, CHANGE, ACCEPT, ABORT]
        if not self._can_accept(node):
            options.remove(ACCEPT)
        meanings = [
            f"{option}: {_MEANING[option].format(status=exit_code.status)}"
            for option in options
        ]
        return Question(
            f"{happened}. How to go on?",
            Choice(tuple(options)),
            help="\n".join([*meanings, *filter(None, [last_lines(node)])]),
            evidence=tuple(each.uuid for each in evidence_of(node)),
        )

    def question_on_changes(self) -> Question:
        """Return what to ask where the inputs shall change; to be overridden."""
        inputs = described(self.ctx.inputs, self.process_class)[:_SHOWN_INPUTS]
        return Question(
            f"Which inputs shall {self.ctx.process_name} have instead?",
            Json({"type": "object", "title": "the inputs that change"}),
            help="\n".join(
                [
                    'As {"name": value, "namespace": {"name": value}}; another node by '
                    "its PK, null to leave one out. Now:",
                    *inputs,
                ]
            ),
            validator="fits_the_process",
        )

    def fits_the_process(self, changes: dict[str, Any]) -> str | None:
        """Return why the process could not run with these changes."""
        return problem_with(changes, self.process_class, self.ctx.inputs)

    def _asks_before(self, code: ExitCode) -> bool:
        """Return whether to ask before ending with this exit code."""
        if code == self.exit_codes.ERROR_MAXIMUM_ITERATIONS_EXCEEDED:
            return self.inputs.get("pause_on_max_iterations") is None
        gives_up = ("SUB_PROCESS_EXCEPTED", "SUB_PROCESS_KILLED", "UNHANDLED_FAILURE")
        return (
            code in [self.exit_codes[f"ERROR_{name}"] for name in gives_up]
            and self.inputs.get("on_unhandled_failure") is None
        )

    def _can_accept(self, node: ProcessNode) -> bool:
        """Return whether the outputs of a process are all that is required of it."""
        if not node.is_finished:
            return False
        # What a subclass makes of them may cost a calculation, or not be possible.
        outputs = BaseRestartWorkChain.get_outputs(self, node)
        of_it = self.process_class.spec().outputs
        return _has_required(outputs, self.spec().outputs, of_it)

    def _after_decisions(self) -> ExitCode | None:
        """Do what was decided after a failure."""
        status = self.ctx.get("asks_before")
        if status is None:
            return super()._after_decisions()
        (letter,) = self.mailbox.last_batch()
        if letter.name == "inputs":
            self._change_inputs(status)
        elif self.answer().value == CHANGE:
            self.ask(inputs=self.question_on_changes())
        elif self.answer().value == ACCEPT:
            self.ctx.asks_before = None
            self.ctx.is_finished = True
            self._recall()
        elif self.answer().value == ABORT:
            code: ExitCode = self.exit_codes(status)
            return code
        else:
            self.ctx.is_run_anew = True
            self._go_on(status)
        return None

    def _change_inputs(self, status: int) -> None:
        """Go on with the inputs that a person wants, or ask once more."""
        changes, kind = self.answer(), self.process_class
        inputs, decided = self.ctx.inputs, self.ctx.get("decided", {})
        try:
            self.ctx.inputs, self.ctx.decided = changed_inputs(
                changes, kind, inputs, decided
            )
        except ValueError as error:  # what was named has been deleted since
            self.report(f"the inputs cannot be changed: {error}")
            self.ask(inputs=self.question_on_changes())
            return
        self._go_on(status)

    def _go_on(self, status: int) -> None:
        """Run the process once more."""
        self.ctx.asks_before = None
        if status == self.exit_codes.ERROR_MAXIMUM_ITERATIONS_EXCEEDED.status:
            self.report("counting the iterations anew")
            self._count_anew()

    def _count_anew(self) -> None:
        """Have as many iterations once more."""
        earlier = self.ctx.get("earlier_children", [])
        self.ctx.earlier_children = [*earlier, *self.ctx.children]
        self.ctx.children, self.ctx.iteration = [], 0

    def _recall(self) -> None:
        """Have all children there for the steps after the loop, which may want them."""
        earlier = self.ctx.pop("earlier_children", [])
        self.ctx.children = [*earlier, *self.ctx.children]
        self.ctx.iteration += len(earlier)

    def run_process(self) -> Any:
        """Run the process, and for once not take it from the cache: there it failed."""
        is_run_anew = self.ctx.pop("is_run_anew", False)
        with disable_caching() if is_run_anew else nullcontext():
            return super().run_process()

    def _wrap_bare_dict_inputs(
        self, port_namespace: PortNamespace, inputs: dict[str, Any]
    ) -> AttributeDict:
        """Make nodes of plain dictionaries, or take those that were decided."""
        wrapped = super()._wrap_bare_dict_inputs(port_namespace, inputs)
        if port_namespace is self.process_class.spec().inputs:
            return with_decided(wrapped, self.ctx.get("decided", {}))
        return wrapped


def _has_required(
    outputs: Mapping[str, Any], ports: PortNamespace, of_child: PortNamespace
) -> bool:
    """Return whether outputs of a child have all of it that is required, at any depth.

    :param ports: of the work chain, which may have others, too.
    """
    for name in set(ports) & set(of_child):
        port, inner = ports[name], of_child[name]
        if isinstance(port, PortNamespace) and isinstance(inner, PortNamespace):
            within = outputs.get(name, {})
            is_needed = port.required or bool(within)
            if is_needed and not _has_required(within, port, inner):
                return False
        elif port.required and name not in outputs:
            return False
    return True
