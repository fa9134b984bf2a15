"""A short run of the fuzzer: two cases of each of some file types."""

from support.programs import ROOT, run_python

FUZZER = ROOT / "scripts" / "fuzz"


def test_damaged_files_are_restored_or_refused_in_one_line() -> None:
    run = run_python(
        FUZZER / "run.py", "--cases", "14", "--kind", "mp4,mkv,ts-h264,avi,png,pth,job"
    )
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert lines[0].split() == ["kind", "ok", "refused", "DEFECT"]
    counts = {line.split()[0]: [int(word) for word in line.split()[1:]] for line in lines[1:]}
    assert {name: sum(count) for name, count in counts.items()} == dict.fromkeys(
        ("mp4", "mkv", "ts-h264", "avi", "png", "pth", "job"), 2
    )


def test_a_crash_of_the_program_is_reported() -> None:
    code = """
import os, sys
sys.path.insert(0, sys.argv.pop(1))
import run
run.program = lambda words: os.abort()
run.main()
"""
    run = run_python("-c", code, FUZZER, "--cases", "1", "--kind", "png")
    assert run.returncode == 1
    assert "DEFECT png:0: ended by SIGABRT" in run.stdout
    assert "python scripts/fuzz/run.py --seed 0 --case png:0" in run.stdout
