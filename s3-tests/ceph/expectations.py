"""Which case belongs to which area, which failures are known, and what a run was worth."""

import fnmatch
import pathlib
import tomllib

HERE = pathlib.Path(__file__).resolve().parent


class Expectations:
    def __init__(self, areas, expected):
        self.areas = [(area["name"], area["cases"]) for area in areas]
        self.expected = expected
        names = {name for name, _ in self.areas}
        for entry in expected:
            if not entry.get("reason"):
                raise ValueError(f"an entry of expected.toml has no reason: {entry}")
            for area in entry.get("areas", []):
                if area not in names:
                    raise ValueError(f"expected.toml names an area that is none: {area}")

    @classmethod
    def load(cls, folder=HERE):
        with open(folder / "areas.toml", "rb") as areas, open(folder / "expected.toml", "rb") as expected:
            return cls(tomllib.load(areas)["area"], tomllib.load(expected)["expected"])

    def area(self, case):
        function = case.partition("[")[0]
        return next(name for name, patterns in self.areas if any(fnmatch.fnmatchcase(function, pattern) for pattern in patterns))

    def reason(self, case):
        """Why this case is known not to pass, or None. A case named by itself comes before its area."""
        function = case.partition("[")[0]
        for entry in self.expected:
            if any(name == case or fnmatch.fnmatchcase(function, name) for name in entry.get("cases", [])):
                return entry["reason"]
        for entry in self.expected:
            if self.area(case) in entry.get("areas", []):
                return entry["reason"]
        return None

    def names(self):
        """Every case that an entry names by itself."""
        return [name for entry in self.expected for name in entry.get("cases", [])]


class Tally:
    """The cases of a run, judged."""

    def __init__(self, expectations, cases):
        self.rows = {name: {"passed": 0, "expected": 0, "failed": 0, "skipped": 0} for name, _ in expectations.areas}
        self.unexpected, self.better = [], []
        named = set(expectations.names())
        for case in cases:
            row = self.rows[expectations.area(case["case"])]
            reason = expectations.reason(case["case"])
            if case["outcome"] == "passed":
                row["passed"] += 1
                if named & {case["case"], case["case"].partition("[")[0]}:
                    self.better.append(case["case"])
            elif case["outcome"] == "skipped":
                row["skipped"] += 1
            elif reason is not None:
                row["expected"] += 1
            else:
                row["failed"] += 1
                self.unexpected.append(case)

    def table(self):
        lines = [f"{'area':34}{'cases':>7}{'passed':>8}{'failed':>8}{'expected':>10}{'skipped':>9}"]
        total = dict.fromkeys(("passed", "failed", "expected", "skipped"), 0)
        for name, row in self.rows.items():
            if sum(row.values()):
                lines.append(self._line(name, row))
                for column in total:
                    total[column] += row[column]
        return "\n".join([*lines, self._line("all", total)])

    @staticmethod
    def _line(name, row):
        return f"{name:34}{sum(row.values()):>7}{row['passed']:>8}{row['failed']:>8}{row['expected']:>10}{row['skipped']:>9}"
