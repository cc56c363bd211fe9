"""The acquirer's side of the wire, played on one machine: a bank with rules, a durable book and bad days.

`cards` is the one table of test cards, `orders` what a caller may ask, `acquirer` the bank's rules, `holds` what
is left of an authorization, `book` its own append-only file, `conduct` and `silence` how it misbehaves on request,
`transfers` its slow money, `challenges` and `page` 3-D Secure, `callbacks` and `post` how it reports both, `http` the
wire.

Decisions:
- A request first suffers its delay, then is judged and booked in one synchronous step. So a cancel that
  arrives during the delay wins, `expires_at` is enforced when the money would move, and 32 equal references
  have one effect without a table of running requests.
- The book is a file of JSON lines with group fsync, not SQLite: the line *is* the answer, so a repeat answers
  byte for byte, and the statement is the file read back. Nothing is answered before it is on disk.
- A challenge of the payer (`requires_action`) ends once: by a click (approved, declined), or by a tombstone (a
  cancel, or 15 minutes later, when it is next looked at). A repeat of the authorization answers as the first did, for
  ever: `requires_action`. `GET /v1/operations/{reference}` and a cancel tell what is true now.
- Only ends that nobody was waiting for are reported: of transfers and challenges. "Reported" is a line of the book
  too, beside the statement, so that what no callback told yet is known after a crash; a tombstone is not reported.
- Every authentic "no" is booked as a decline (HTTP 200, `status: declined`) and repeats for ever; an HTTP
  error means that this request did nothing.
- Hot routes are plain Starlette routes in the FastAPI app: they parse by hand and answer bytes.
"""
