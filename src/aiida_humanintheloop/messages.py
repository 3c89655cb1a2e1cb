"""What a workflow that asks and who answers it say to each other, word for word."""

__all__ = ["ANSWER_INTENT", "ASKED", "STATUS"]

#: Of the message that has an answer.
ANSWER_INTENT = "humanintheloop.answer"

#: Subject of the broadcast that a question is open. It begins like the engine's own
#: news of a state because every process of a worker listens to all that does not: with
#: 500 workflows waiting, each question would wake 500 tasks that have nothing to do.
ASKED = "state_changed.running.asked"

#: Of the process that asks, in the words of the blog post; a complaint may follow.
STATUS = 'Need user input via "answer" extra before replaying!'
