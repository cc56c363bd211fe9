"""PostgreSQL: the books, what is read from them, and the work that waits in them.

Group commit: one writer per process takes all units that are waiting (at most 128) and writes them in one transaction
of fixed phases, one statement per table over a JSON document, in one round trip when all is as hoped; each unit is
answered separately. The statements stand in a function of the writer's own session (`pg_temp.write_batch`), so its role
needs TEMPORARY on the database, which PostgreSQL gives to everybody unless it is told otherwise.
It beat a transaction per unit on SQLAlchemy async + asyncpg (0.16 of pgbench with the same SQL) and on a pool of
threads (0.14 to 0.20): this one reaches 0.75, the whole service around it (`make bench`). A writer in a thread of its
own (on SQLAlchemy's engine, like everything else here) took 4 % more of a processor for each payment and had a 99th
percentile of 33 ms where this one has 26. The rooms:

- `engine`     URLs, connections and their timeouts, the durability check
- `writer`     its queue, its order, what it does when PostgreSQL goes away
- `waiting`    what is in its queue · `pace` when it begins a batch · `plans` how long it keeps the plans of one
- `link`       its connection, on the event loop
- `batch`      the phases of one transaction
- `statements` the SQL of those phases
- `rows`       domain objects to rows and back
- `books`      the Books port · `reads` the Reads port · `backlog` the Backlog port
- `merchants`  the Merchants port, with `key_cache` and `listen` (keys, true in every process), `key_use` (last used)
- `sessions`   the Sessions port: the console's, a row for each
- `transfers` the Transfers port, with `transfer_rows` and `transfer_lists` · `ledger` the Ledger port: each step a
  transaction of its own, since they come one by one and some wait for a lock
- `tables`     what the migrations made, for SQLAlchemy Core
"""
