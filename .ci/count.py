"""Reads the events of `go test -json` and prints failures, skips and counts.

Exit code 1 when a test or a package failed, when no test ran, or, with CI set,
when a test was skipped for want of a server, a browser or an SDK.
"""
import json
import os
import sys

NEEDED = ("PLUMBLINE_TEST_", "postgres", "redis", "chromium", "browser", "axe", "node", "qpdf", "poppler", "pdfto", "is not installed")


def main(path):
    output, seen, failed_packages = {}, {}, []
    for line in open(path, encoding="utf-8", errors="replace"):
        try:
            event = json.loads(line)
        except ValueError:
            print(line.rstrip())
            continue
        key = (event.get("Package") or event.get("ImportPath", ""), event.get("Test", ""))
        action = event["Action"]
        if action in ("output", "build-output"):
            output.setdefault(key, []).append(event.get("Output", ""))
        elif action in ("pass", "fail", "skip"):
            if key[1]:
                seen[key] = action
            elif action == "fail":
                failed_packages.append(key[0])
    failed = [k for k, a in seen.items() if a == "fail"]
    skipped = [k for k, a in seen.items() if a == "skip"]
    passed = sum(1 for a in seen.values() if a == "pass")
    for key in failed:
        print(f"--- FAIL {key[0]} {key[1]}")
        print("".join(output.get(key, []))[-6000:])
    explained = {k[0] for k in failed}
    for package in failed_packages:
        if package not in explained:
            print(f"--- FAIL {package}")
            print("".join(t for k, v in output.items() if k[0].split(" ")[0] == package for t in v)[-6000:])
    missing = []
    for key in sorted(skipped):
        why = " ".join("".join(l for l in output.get(key, []) if "---" not in l and "===" not in l).split())
        print(f"skipped: {key[0]} {key[1]}: {why}")
        if any(word.lower() in why.lower() for word in NEEDED):
            missing.append(key)
    bad = bool(failed or failed_packages)
    if not seen:
        print("no test ran")
        bad = True
    if missing and os.environ.get("CI"):
        print(f"{len(missing)} tests were skipped for want of a server, a browser or a client: a failure in CI")
        bad = True
    print(f"{passed} passed, {max(len(failed), len(failed_packages))} failed, {len(skipped)} skipped")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
