"""Whether a change of an event contract breaks someone who does not change with it, shown by an event.

A contract has two sides, and they are not deployed in one moment. So each change of a schema is asked two questions,
the two that Confluent's Schema Registry calls forward and backward compatibility:

1. **Does it break readers?** A reader still has the old schema when new events come. It breaks where something that a
   writer may write under the *new* schema is not valid under the *old* one.
2. **Does it break writers?** A writer still has the old schema, and its events stay in the topics, when the new
   reader comes. It breaks where something that may be written under the *old* schema is not valid under the *new*
   one.

Both are one question, asked twice: is ``closed(writer)`` within ``reader``? A writer is strict: it writes the fields
that its schema declares and no others (``world.closed``, the closed world). A reader is tolerant: it takes its schema
as it stands, in which a field that nobody declared may be there (the open world). That is why a new optional field is
compatible, though an open schema would let an old writer have put anything under that name before. An object that
declares no field at all is a map, and one with ``additionalProperties`` has said what else it holds; both are left
open.

How it is answered (``judgement``), in this order:

* **A proof** that the one lies within the other (``inclusion``): jsonschema-rs's algebra of canonical schemas, which
  is told what follows for strings from patterns, lengths and formats (``language``: inclusion of regular languages,
  decided by automata). A proof makes the change compatible.
* **An event that shows that it does not** (``instances``, ``witness``): boundary values of both schemas, put together
  one by one and in pairs, each run through the validator with formats on. The smallest is shown as the witness: valid
  under the closed world of the one side and refused by the other, so a reported break with a witness is true by
  construction.
* **Neither** (two patterns with look-around, a recursive schema that changed): the change counts as breaking on the
  side that has no proof, and says "it cannot be shown compatible". An undecided change is never called compatible.

Schemas are compared in a normal form (``normal``: references in place, annotations gone), cut into ``edit``s, each
judged alone and in company: what one edit breaks and another takes up again is no break, and what only several break
together is one change of its own. The verdict comes from the two schemas only. The Structs of the services
(``consumers``) say *who*: a service is named in ``breaks`` where its Struct refuses an event that shows the change,
in ``loses`` where it reads a field that may now be missing, and a field that no Struct reads is called ``unread``.
The registry is compared as well (``entries``): events that came, went or were renamed, producers, consumers and
versions.
"""

from dovecote.contracts.compatibility.change import Change, Verdict
from dovecote.contracts.compatibility.comparison import compare, schema_changes

__all__ = ["Change", "Verdict", "compare", "schema_changes"]
