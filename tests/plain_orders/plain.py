#!/usr/bin/env python3
"""Runs a scenario in every order of its steps, and prints what the orders come to.

This is a second opinion on `permutations: all`. It shares no code with the crate, leaves no order out and knows
nothing of what statements mean: each order gets new databases and new sessions, and who is blocked is asked of the
server until there is no doubt. It is slow on purpose.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import os
import pathlib
import re
import sys
import threading
import time
import urllib.parse

import pymysql
import yaml

# How long a statement must show one and the same wait before it counts as blocked, in seconds, by what it waits for.
# A commit in back-off shows no lock, so that only its length tells it from a slow one.
CERTAIN = {"row lock": 0.25, "commit": 1.5, "metadata lock": 2.0, "user-level lock": 1.0}
# The same after a step that may have released what it waits for: the embedded store hands some locks over a second
# late, and a commit asks again after 2.5 seconds at the latest.
STILL = {"row lock": 1.4, "commit": 3.5, "metadata lock": 3.0, "user-level lock": 1.4}
LOOK_EVERY = 0.03
# No statement of a test runs longer than this without a wait that the server shows.
STATEMENT_MAX = 120
STRAYED_MAX = 20

NUMBERS = {0, 1, 2, 3, 4, 5, 8, 9, 13, 246}  # decimals, integers, floats and YEAR, as the protocol numbers them
TIMES = {7, 10, 11, 12, 245}  # TIMESTAMP, DATE, TIME, DATETIME; and JSON, all of which are shown as they are


class Mistake(Exception):
    """The scenario says something that this program does not know."""


class Strayed(Exception):
    """The order is to be run again: the server did something else than before, or somebody did not wait after all."""


def known(mapping, keys, where):
    if unknown := set(mapping) - set(keys):
        raise Mistake(f"{where}: {', '.join(sorted(unknown))}: not known to this program")
    return mapping


def seconds(text):
    number, unit = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m)", str(text)).groups()
    return float(number) * {"ms": 0.001, "s": 1, "m": 60}[unit]


class Value(collections.namedtuple("Value", "text kind")):
    """A value as the server wrote it, or as the file has it; `kind` is number, text, bytes or null."""

    @classmethod
    def of_file(cls, value):
        if value is None:
            return cls("NULL", "null")
        if isinstance(value, (int, float)):  # So is a boolean.
            return cls(str(value + 0), "number")
        return cls(str(value), "text")

    @classmethod
    def of_cell(cls, cell, type_code):
        if cell is None:
            return cls("NULL", "null")
        if isinstance(cell, bytes):
            return cls("0x" + cell.hex() if cell else "0x (no bytes)", "bytes")
        return cls(cell, "number" if type_code in NUMBERS | TIMES else "text")

    def shown(self):
        if self.kind != "text":
            return self.text
        text = self.text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
        return f"'{text}'"

    def literal(self):
        quoted = self.text.replace("\\", "\\\\").replace("'", "''")
        # To `shown` times are like numbers.
        is_time = self.kind == "number" and not re.fullmatch(r"[-\d.e]+", self.text)
        return f"'{quoted}'" if self.kind == "text" or is_time else self.text


Step = collections.namedtuple("Step", "connection name what save wants timeout")
Own = collections.namedtuple("Own", "name settings database steps")


class Scenario:
    """What the file says: for each connection its session and its steps."""

    def __init__(self, text):
        data = yaml.safe_load(text)
        known(data, "scenario setup teardown vars connections steps permutations expect timeout step_timeout seed "
              "tags".split(), "the file")
        self.setup, self.teardown = data.get("setup", "do 0"), data.get("teardown", "do 0")
        self.vars = {name: Value.of_file(value) for name, value in (data.get("vars") or {}).items()}
        self.limit = seconds(data.get("step_timeout", "10s"))
        connections = data["connections"]
        self.connections = []
        for name, own in (dict.fromkeys(connections) if isinstance(connections, list) else connections).items():
            own = known(own or {}, "txn isolation vars states database".split(), name)
            settings = [("time_zone", "'+00:00'")]
            if "isolation" in own:
                settings.append(("transaction_isolation", f"'{own['isolation'].replace(' ', '-')}'"))
            if "txn" in own:
                settings.append(("tidb_txn_mode", f"'{own['txn']}'"))
            settings += [(key, Value.of_file(value).literal()) for key, value in (own.get("vars") or {}).items()]
            states = list(own.get("states") or [])
            for step in data.get("steps", []):
                if name in step:
                    what = step[name] if isinstance(step[name], dict) else {"sql": step[name]}
                    states.append({**what, **{key: value for key, value in step.items() if key != name}})
            steps = [self.step(name, number, state) for number, state in enumerate(states)]
            self.connections.append(Own(name, settings, own.get("database"), steps))
        self.databases = sorted({own.database for own in self.connections if own.database})

    def step(self, connection, number, state):
        name = f"{connection}.{number + 1}"
        known(state, "sql params sleep reconnect disconnect save state as timeout affected rows unordered row value "
              "count columns contains error one_of last_insert_id warnings".split(), name)
        errors = [state["error"]] if "error" in state else []
        errors += [one["error"] for one in state.get("one_of", []) if "error" in one]
        if any(not isinstance(one, int) and one not in ("any", "timed_out") for one in errors):
            raise Mistake(f"{name}: an error is written as its number here")
        limit = seconds(state["timeout"]) if "timeout" in state else self.limit
        return Step(connection, name, state, state.get("save", {}), errors, limit)


def fill(text, variables):
    """Puts variables in the place of `${name}`, as they are."""
    def one(found):
        return "${" if found[0] == "$${" else variables[found[1]].text
    return re.sub(r"\$\$\{|\$\{([^}]+)\}", one, text)


def value_of(value, variables):
    """What a value of the file stands for: a variable alone keeps its type."""
    if not isinstance(value, str):
        return Value.of_file(value)
    alone = re.fullmatch(r"\$\{([^}]+)\}", value)
    return variables[alone[1]] if alone else Value(fill(value, variables), "text")


def statement(sql, params, variables):
    sql = fill(sql, variables)
    values = iter([value_of(param, variables) for param in params])
    return re.sub(r"\?", lambda _: next(values).literal(), sql) if params else sql


class Server:
    def __init__(self, url):
        url = urllib.parse.urlsplit(url)
        self.where = {"host": url.hostname, "port": url.port or 4000, "user": url.username, "password": url.password}

    def connect(self, database=None, settings=()):
        # Without converters all but bytes comes as the text that the server sent.
        several = 0 if database else pymysql.constants.CLIENT.MULTI_STATEMENTS
        session = pymysql.connect(**self.where, database=database, autocommit=None, conv={}, client_flag=several)
        for name, value in settings:
            session.query(f"set @@session.{name} = {value}")
        return session


def ask(session, sql):
    with session.cursor() as cursor:
        cursor.execute(sql)
        rows = cursor.fetchall()
        while cursor.nextset():
            pass
        return rows


class Session:
    """One connection of an order: a session, and a thread for the step that it is at."""

    def __init__(self, order, own):
        self.order, self.own = order, own
        self.left, self.failed, self.answered = collections.deque(own.steps), False, threading.Event()
        self.waited, self.answers = set(), {}
        self.step = self.answer = self.error = None
        self.open()

    def open(self):
        database = self.order.names[self.own.database]
        self.session = self.order.server.connect(database, self.own.settings)
        ask(self.session, "select 1")  # Drivers ask something first, which FOUND_ROWS() and ROW_COUNT() know.
        self.id = self.session.thread_id()

    def close(self):
        with contextlib.suppress(pymysql.err.MySQLError):
            self.session.close()

    def start(self):
        self.step, self.answer, self.error = self.left.popleft(), None, None
        self.started = time.monotonic()
        self.answered.clear()
        threading.Thread(target=self.act, daemon=True).start()

    def act(self):
        try:
            self.answer = self.act_and_save(self.step)
        except pymysql.err.MySQLError as error:
            code = error.args[0] if error.args else 0
            lost = code in (0, 2006, 2013, 2055)
            self.error = "lost" if lost else code
            self.answer = "connection lost" if lost else f"error {code}"
        except Exception as error:  # A mistake of this program's own: told by the thread that runs the order.
            self.error = self.answer = error
        self.answered.set()

    def act_and_save(self, step):
        what, cursor, rows, answer = step.what, None, [], "0 changed"
        variables = {**self.order.variables, "connection": Value(self.own.name, "text")}
        if "sleep" in what:
            time.sleep(seconds(what["sleep"]))
        if what.get("disconnect") or what.get("reconnect"):
            self.close()
            self.order.await_gone(self.id)
        if what.get("reconnect"):
            self.open()
        statements = what.get("sql", [])
        for sql in [statements] if isinstance(statements, str) else statements:
            cursor = self.session.cursor()
            cursor.execute(statement(sql, what.get("params", []), variables))
            if cursor.description is None:
                answer = f"{cursor.rowcount} changed"
                continue
            rows = [self.cells(cursor, row) for row in cursor.fetchall()]
            answer = " ".join(f"({', '.join(cell.shown() for cell in row)})" for row in rows) or "no rows"
        for name, source in step.save.items():
            self.order.variables[name] = self.saved(cursor, rows, source)
        return answer

    @staticmethod
    def cells(cursor, row):
        return [Value.of_cell(cell, column[1]) for cell, column in zip(row, cursor.description)]

    @staticmethod
    def saved(cursor, rows, source):
        if source in ("affected", "last_insert_id"):
            return Value(str(cursor.rowcount if source == "affected" else cursor.lastrowid), "number")
        names = [column[0].lower() for column in cursor.description]
        return rows[0][names.index(source.lower())]

    def is_able(self):
        return self.step is None and not self.failed and bool(self.left)

    def take(self):
        """Takes the answer, if it is there; whoever gets an error that it does not expect rolls back."""
        if self.step is None or not self.answered.is_set():
            return False
        if isinstance(self.answer, Exception):
            raise self.answer
        step, self.step = self.step, None
        self.answers[step.name] = self.answer
        if self.error is not None and self.error not in step.wants and "any" not in step.wants:
            self.give_up()
        return True

    def end(self):
        # A session that is closed in the middle of a wait would keep its locks.
        if self.step:
            ask(self.order.control, f"kill query {self.id}")
            self.answered.wait(STATEMENT_MAX)
        self.give_up()
        self.close()

    def give_up(self):
        self.failed = True
        # Where its session is gone, so is its transaction.
        with contextlib.suppress(pymysql.err.MySQLError):
            self.session.query("rollback")


class Order:
    """One order: the connections of `picks` take their steps, and then always the first that can."""

    def __init__(self, scenario, server, database, picks):
        self.scenario, self.server, self.picks = scenario, server, picks
        self.control = server.connect()
        self.names = {None: database, **{one: f"{database}_{one}" for one in scenario.databases}}
        further = {f"database.{one}": Value(self.names[one], "text") for one in scenario.databases}
        self.variables = {**scenario.vars, **further, "database": Value(database, "text")}
        self.taken, self.others, self.sessions = [], [], []

    def run(self):
        try:
            for name in self.names.values():
                ask(self.control, f"create database `{name}`")
            ask(self.control, f"use `{self.names[None]}`")
            ask(self.control, fill(self.scenario.setup, self.variables))
            self.sessions = [Session(self, own) for own in self.scenario.connections]
            self.steps()
            for session in self.sessions:
                session.give_up()
            return self.outcome()
        finally:
            for session in self.sessions:
                session.end()
            ask(self.control, fill(self.scenario.teardown, self.variables))
            for name in self.names.values():
                ask(self.control, f"drop database if exists `{name}`")
            self.control.close()

    def steps(self):
        while True:
            able = [number for number, session in enumerate(self.sessions) if session.is_able()]
            if not able:
                busy = [session for session in self.sessions if session.step]
                if not busy:
                    return
                self.await_limit(min(busy, key=lambda session: session.started + session.step.timeout))
                continue
            at = len(self.taken)
            pick = self.picks[at] if at < len(self.picks) else able[0]
            if pick not in able:
                raise Strayed
            if at >= len(self.picks):
                self.others += [self.taken + [other] for other in able[1:]]
            self.taken.append(pick)
            session = self.sessions[pick]
            before = self.transaction_of(session)
            session.start()
            self.await_answer_or_wait(session)
            if not session.take():
                session.waited.add(session.step.name)
            # Its locks go with its transaction, and only with that.
            self.settle(before is not None and self.transaction_of(session) != before)

    def await_answer_or_wait(self, session):
        """Waits until a step has its answer, or shows one and the same wait for long enough."""
        key, since = None, time.monotonic()
        while not session.answered.wait(LOOK_EVERY):
            shown, now = self.look().get(session.id), time.monotonic()
            if shown is None or shown != key:
                key, since = shown, now
            elif now - since >= CERTAIN[key[0]]:
                return
            if now - session.started > STATEMENT_MAX:
                raise Mistake(f"{session.step.name} neither waits nor ends")

    def settle(self, released):
        """Waits until it is certain which of those who wait do so still, after locks may have been released."""
        since = {}
        while True:
            back = [session for session in self.sessions if session.take()]
            if not released and any(session.error not in (1205, 1213) for session in back):
                raise Strayed  # It was slow, and did not wait.
            if back:
                # Whoever is back has locks of its own now, or has let go of them.
                released, since = True, {}
            busy = [session for session in self.sessions if session.step]
            if not busy:
                return
            shown, now = self.look(), time.monotonic()
            kinds = {shown.get(session.id, ("none",))[0] for session in busy}
            if not released and kinds <= {"row lock", "commit"}:
                return
            for session in busy:
                key = shown.get(session.id)
                if key is None or since.get(session.id, (None, now))[0] != key:
                    since[session.id] = (key, now)
            certain = all(key is not None and now - at >= STILL[key[0]] for key, at in since.values())
            if certain and not any(session.answered.is_set() for session in busy):
                return
            time.sleep(LOOK_EVERY)

    def await_limit(self, session):
        """Nobody can go on: one who waits comes back by itself, or is over the limit of its step."""
        if not session.answered.wait(session.step.timeout):
            ask(self.control, f"kill query {session.id}")
            if not session.answered.wait(STATEMENT_MAX):
                raise Mistake(f"{session.step.name} does not end by KILL QUERY")
            session.answer, session.error = "over its limit", "timed out"
        self.settle(True)

    def transaction_of(self, session):
        return ask(self.control, f"select id from information_schema.tidb_trx where session_id = {session.id}") or None

    def look(self):
        """Who waits, as the server shows it: for a session's id, of what kind the wait is, and what is its own."""
        ids = ", ".join(str(session.id) for session in self.sessions if session.step)
        shown = {}
        for session, start, state, since in ask(
                self.control, "select session_id, id, state, waiting_start_time from information_schema.tidb_trx "
                f"where session_id in ({ids})"):
            if state == "LockWaiting" and since is not None:
                shown[int(session)] = ("row lock", start, since)
            elif state == "Committing":
                shown[int(session)] = ("commit", start)
        for session, text in ask(self.control, "select id, lower(info) from information_schema.processlist "
                                 f"where id in ({ids}) and info is not null"):
            if "get_lock" in text:
                shown.setdefault(int(session), ("user-level lock", text))
            elif text.split()[0] in ("create", "alter", "drop", "truncate", "rename"):
                if ask(self.control, "select 1 from mysql.tidb_mdl_view where lower(query) = "
                       + Value(text, "text").literal()):
                    shown[int(session)] = ("metadata lock", text)
        return shown

    def await_gone(self, session):
        """The server rolls back for a session that was closed some time after that."""
        with self.server.connect() as control:
            while ask(control, f"select 1 from information_schema.processlist where id = {session}"):
                time.sleep(LOOK_EVERY)

    def outcome(self):
        schemas = {real: name for name, real in self.names.items()}
        listed = ", ".join(f"'{real}'" for real in schemas)
        lines = []
        for schema, table in sorted(ask(self.control, "select table_schema, table_name from information_schema.tables "
                                        f"where table_schema in ({listed}) and table_type <> 'SEQUENCE'")):
            quoted = table.replace("`", "``")
            with self.control.cursor() as cursor:
                try:
                    cursor.execute(f"select * from `{schema}`.`{quoted}`")
                    rows = [Session.cells(cursor, row) for row in cursor.fetchall()]
                    rows = sorted(f"({', '.join(cell.shown() for cell in row)})" for row in rows)
                except pymysql.err.MySQLError as error:
                    rows = [f"error {error.args[0]}"]
            own = schemas[schema]
            name = table if own is None else f"${{database.{own}}}.{table}"
            lines.append(f"table {name}: {' '.join(rows) or 'empty'}")
        steps = [(session, step.name) for session in self.sessions for step in session.own.steps]
        lines += [f"{name}: {session.answers.get(name, 'not run')}" for session, name in steps]
        waited = [name for session, name in steps if name in session.waited]
        lines.append(f"had to wait: {', '.join(waited) or 'nobody'}")
        saved = {name for own in self.scenario.connections for step in own.steps for name in step.save}
        lines += [f"var {name}: {self.variables[name].shown()}" for name in sorted(saved) if name in self.variables]
        return "\n".join(lines)


class Work:
    """The orders that are still to be run, and what came of those that were."""

    def __init__(self, scenario, server):
        self.scenario, self.server = scenario, server
        self.open, self.under_way, self.number = [([], 0)], 0, 0
        self.outcomes, self.trouble, self.changed = collections.defaultdict(list), None, threading.Condition()

    def next(self):
        with self.changed:
            self.changed.wait_for(lambda: self.open or not self.under_way or self.trouble)
            if self.trouble or not self.open:
                return None
            self.under_way += 1
            self.number += 1
            return *self.open.pop(), self.number

    def work(self):
        while (found := self.next()) is not None:
            picks, tries, number = found
            trouble, others, outcome = None, [], None
            try:
                order = Order(self.scenario, self.server, f"plain_{os.getpid()}_{number}", picks)
                outcome = order.run()
                others = [(other, 0) for other in order.others]
            except Strayed:
                others = [(picks, tries + 1)]
                trouble = "an order could not be repeated" if tries == STRAYED_MAX else None
            except Exception as error:
                names = " ".join(self.scenario.connections[pick].name for pick in picks)
                trouble = f"{type(error).__name__}: {error} (after {names or 'nothing'})"
            with self.changed:
                self.under_way -= 1
                self.open += others
                self.trouble = self.trouble or trouble
                if outcome is not None:
                    self.outcomes[outcome].append(order.taken)
                self.changed.notify_all()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("file")
    arguments.add_argument("--url", default=os.environ.get("TIDB_URL", "mysql://root@127.0.0.1:4000/"))
    arguments.add_argument("--workers", type=int, default=6, help="so many orders at the same time")
    asked = arguments.parse_args()
    text = pathlib.Path(asked.file).read_text(encoding="utf-8")
    work = Work(Scenario(text), Server(asked.url))
    # User-level locks are the whole server's.
    workers = 1 if "get_lock" in text.lower() else asked.workers
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda _: work.work(), range(workers)))
    if work.trouble:
        sys.exit(work.trouble)
    for outcome, orders in sorted(work.outcomes.items()):
        first = " ".join(work.scenario.connections[pick].name for pick in min(orders))
        print(f"outcome of {len(orders)} orders, such as {first}\n{outcome}\n")
    print(f"in all {sum(map(len, work.outcomes.values()))} orders, {len(work.outcomes)} outcomes")


if __name__ == "__main__":
    main()
