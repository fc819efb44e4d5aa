"""The TPU scripts against a stub of gcloud that records its calls and acts on folders."""

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stub_cloud import GIVEN, ROOT, git

FOLDER = ROOT / "tpu_scripts"
SCRIPTS = ("create.sh", "setup.sh", "run.sh", "status.sh", "fetch.sh", "delete.sh")
COMMAND = ("--", "python", "-m", "experiments.unlearn", "--config", "configs/mllmu/tiny.py")
RUNS = 'if __name__ == "__main__":'
ODD = ["--config.x=a  b", "it's", '"quoted"', "$HOME", "`id`", "a;b&&c|d>e"]
ODD += ["*", "\\", "", "é\nü", "--"]
LIST = [
    *["compute", "tpus", "queued-resources", "list", "--zone=us-central2-b"],
    '--filter=name~"/my-tpu$"',
    "--format=value(state.state)",
]
CREATE = [
    *["compute", "tpus", "queued-resources", "create", "my-tpu", "--zone=us-central2-b"],
    "--accelerator-type=v4-16",
    "--runtime-version=tpu-ubuntu2204-base",
]


def ssh(words: str, node="my-tpu", worker="all") -> list[str]:
    where = ["--zone=us-central2-b", f"--worker={worker}"]
    command = f"--command=bash mllm/tpu_scripts/worker.sh {words}"
    return [*["compute", "tpus", "tpu-vm", "ssh"], node, *where, command]


def scp(source: str, target: str, *flags: str, worker="all") -> list[str]:
    where = ["--zone=us-central2-b", f"--worker={worker}"]
    return [*["compute", "tpus", "tpu-vm", "scp"], *flags, source, target, *where]


def table() -> list[dict]:
    return list(csv.DictReader((FOLDER / "accelerators.tsv").open(), delimiter="\t"))


def sourced(name: str) -> dict:
    """The variables that a command gets from flags/NAME.env, as worker.sh reads it."""
    command = f'set -a; source "{FOLDER}/flags/{name}.env"; env -0'
    done = subprocess.run(["bash", "-c", command], env={}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    return {k: v for k, v in found.items() if k not in ("PWD", "SHLVL", "_")}


# What can be said without running anything.


def test_shellcheck_has_nothing_to_say():
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or "shellcheck"
    command = [shellcheck, "--external-sources", f"--source-path={ROOT}"]
    command += [*FOLDER.glob("*.sh"), Path(__file__).parent / "stub.sh"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", sorted(p.name for p in FOLDER.glob("*.sh")))
def test_bash_can_read(script):
    done = subprocess.run(["bash", "-n", FOLDER / script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("row", table(), ids=lambda row: row["type"])
def test_rows_of_the_table_agree_with_themselves(row):
    family, size = row["type"].split("-")
    names = {"v4": "v4", "v5e": "v5litepod", "v5p": "v5p", "v6e": "v6e"}
    runtimes = {
        "v4": "tpu-ubuntu2204-base",
        "v5e": "v2-alpha-tpuv5-lite",
        "v5p": "v2-alpha-tpuv5",
        "v6e": "v2-alpha-tpuv6e",
    }
    assert row["accelerator"] == f"{names[family]}-{size}"
    assert row["runtime"] == runtimes[family]
    assert row["platform"] == f"tpu_{family}"
    assert (FOLDER / "flags" / f"{row['platform']}.env").is_file()
    chips, hosts = int(row["chips"]), int(row["hosts"])
    # v4 and v5p count cores, of which a chip has two; v5e and v6e count chips.
    assert int(size) == chips * (2 if family in ("v4", "v5p") else 1)
    # Hosts of v4 and v5p have 4 chips; a slice of v5e or v6e up to 8 chips is one host.
    alone = chips <= 8 if family in ("v5e", "v6e") else chips == 4
    assert hosts == (1 if alone else chips // 4)
    assert chips % hosts == 0


def test_types_are_unique():
    types = [row["type"] for row in table()]
    assert len(set(types)) == len(types)
    assert {t.split("-")[0] for t in types} == {"v4", "v5e", "v5p", "v6e"}


@pytest.mark.parametrize("path", sorted((FOLDER / "flags").glob("*.env")), ids=lambda p: p.stem)
def test_flags_are_words_with_a_dated_source(path):
    assert re.search(r"# Source: .*read \d{4}-\d\d-\d\d", path.read_text())
    found = sourced(path.stem)
    assert found.pop("JAX_PLATFORMS") == ("cuda,cpu" if path.stem == "gpu_h100" else "tpu,cpu")
    words = found.get("LIBTPU_INIT_ARGS", found.get("XLA_FLAGS")).split(" ")
    assert words and all(re.fullmatch(r"--xla_\w+=\w+", word) for word in words)
    assert len({word.partition("=")[0] for word in words}) == len(words)


def test_xla_knows_the_flags_of_the_gpu():
    """XLA ends a process that gives it an unknown flag, on every backend."""
    environment = {**sourced("gpu_h100"), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", "import jax; jax.devices()"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# What every script owes its user.


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_names_every_option(cloud, script):
    done = cloud.run(script, "--help", given=())
    assert done.returncode == 0 and not cloud.calls()
    refused = cloud.run(script, "--nonsense")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: unknown option --nonsense; expected one of --")
    options = refused.stderr.split("expected one of ")[1].split()
    assert len(options) >= 5
    assert [o for o in options if o not in done.stdout] == []


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("flag", ["--name", "--zone", "--type"])
def test_what_must_be_given(cloud, script, flag):
    done = cloud.run(script, given=[g for g in GIVEN if not g.startswith(flag)])
    variable = f"TPU_{flag[2:].upper()}"
    assert done.stderr == f"error: {flag} is missing; give it, or set {variable}\n"
    assert (done.returncode, cloud.calls()) == (2, [])


@pytest.mark.parametrize(
    "script, arguments, message",
    [
        ("create.sh", ["--type", "v5e-17"], "--type: found 'v5e-17', expected one of v4-8 v4-16 "),
        ("create.sh", ["--type"], "--type: its value is missing"),
        ("create.sh", ["--name=My TPU"], "--name: found 'My TPU', expected lower-case letters"),
        ("create.sh", ["--node-count=0"], "--node-count: found '0', expected a number from 1"),
        ("create.sh", ["--spot", "--reserved"], "--spot and --reserved: expected one of them"),
        ("create.sh", ["more"], "found 'more', expected options only"),
        ("setup.sh", ["--bucket=gs://b/x"], "--bucket: found 'gs://b/x', expected gs://BUCKET"),
        ("setup.sh", ["--bucket=b"], "--bucket: found 'b', expected gs://BUCKET"),
        ("setup.sh", ["--revision=v1"], "--revision: found 'v1' without --repo"),
        ("run.sh", [], "found '', expected -- python -m experiments.VERB"),
        ("run.sh", ["--", "rm", "-rf", "/"], "found 'rm -rf /', expected -- python -m experim"),
        ("run.sh", ["--", "python", "-m", "experiments.common"], "experiments.common: unknown"),
        ("run.sh", ["--", "python", "-m", "experiments.a b"], "experiments.a b: unknown, expec"),
        ("run.sh", [*COMMAND, "--workdir=gs://b/x"], "found '--workdir=gs://b/x', expected a fol"),
        ("run.sh", ["--session=a b", *COMMAND], "--session: found 'a b', expected letters"),
        ("run.sh", ["--attach", *COMMAND], "with --attach or --stop, expected no command"),
        ("run.sh", ["--attach", "--stop"], "--attach and --stop: expected one of them"),
        ("status.sh", ["--lines=x"], "--lines: found 'x', expected a number"),
        ("fetch.sh", ["/etc"], "found '/etc', expected a folder of the checkout such as runs/x"),
        ("fetch.sh", ["gs://"], "found 'gs://', expected a folder of the checkout such as runs/x"),
    ],
)
def test_mistakes_are_reported_in_a_line(cloud, script, arguments, message):
    done = cloud.run(script, *arguments)
    assert done.stderr.startswith("error: ") and message in done.stderr
    assert done.stderr.count("\n") == 1
    assert (done.returncode, done.stdout, cloud.calls()) == (2, "", [])


def test_an_unknown_verb_is_answered_with_those_that_can_be_run(cloud):
    done = cloud.run("run.sh", "--", "python", "-m", "experiments.unlern")
    verbs = [p.stem for p in (ROOT / "experiments").glob("*.py") if RUNS in p.read_text()]
    assert "unlearn" in verbs and "study" not in verbs
    assert done.stderr.split("VERB one of ")[1].split() == sorted(verbs)


@pytest.mark.parametrize(
    "script, arguments, states",
    [
        ("create.sh", ["--spot", "--wait"], ["", "ACTIVE"]),
        ("setup.sh", ["--bucket", "gs://b"], []),
        ("setup.sh", ["--node-count=2", "--repo", "CHECKOUT"], []),
        ("run.sh", ["--wait", *COMMAND, *ODD], []),
        ("run.sh", ["--node-count=2", *COMMAND], []),
        ("run.sh", ["--stop"], []),
        ("status.sh", [], ["ACTIVE"]),
        ("fetch.sh", ["--to", "my results", "runs/x/npo", "gs://b/y"], []),
        ("delete.sh", ["--yes"], ["ACTIVE", ""]),
    ],
    ids=lambda value: " ".join(value)[:24] if isinstance(value, list) else value,
)
def test_a_dry_run_prints_what_would_be_called_and_calls_nothing(cloud, script, arguments, states):
    arguments = [str(cloud.checkout) if a == "CHECKOUT" else a for a in arguments]
    dry = cloud.run(script, "--dry-run", *arguments)
    assert (dry.returncode, dry.stderr, cloud.calls()) == (0, "", [])
    assert not (cloud.folder / "my-tpu.bundle").exists()

    def calls_of(*run):
        shutil.rmtree(cloud.folder / "workers", ignore_errors=True)
        if script != "setup.sh":
            cloud.install("my-tpu", "my-tpu-0", "my-tpu-1")
            cloud.log(0).parent.mkdir(parents=True)
            cloud.log(1).parent.mkdir(parents=True)
            (cloud.worker(0) / "runs" / "x" / "npo").mkdir(parents=True)
        cloud.foresee(states=states or ["ACTIVE"])
        done = cloud.bash(*run)
        assert done.returncode == 0, done.stderr
        return cloud.gcloud()

    real = calls_of(str(cloud.checkout / "tpu_scripts" / script), *GIVEN, *arguments)
    assert real and calls_of("-c", dry.stdout) == real


# What each script asks of gcloud, and what then happens on the workers.


@pytest.mark.parametrize(
    "arguments, end",
    [
        ([], ["--node-id=my-tpu"]),
        (["--spot"], ["--node-id=my-tpu", "--spot"]),
        (["--reserved"], ["--node-id=my-tpu", "--reserved"]),
        (["--node-count", "2"], ["--node-count=2", "--node-prefix=my-tpu"]),
    ],
)
def test_create_asks_once(cloud, arguments, end):
    cloud.foresee(states=[""])
    assert cloud.run("create.sh", *arguments).returncode == 0
    assert cloud.gcloud() == [LIST, CREATE + end]


def test_create_reads_the_environment(cloud):
    cloud.foresee(states=[""])
    given = {"TPU_NAME": "my-tpu", "TPU_ZONE": "us-central2-b", "TPU_TYPE": "v4-16"}
    cloud.run("create.sh", given=(), env=cloud.environment | given)
    assert cloud.gcloud() == [LIST, [*CREATE, "--node-id=my-tpu"]]


@pytest.mark.parametrize("state", ["WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"])
def test_create_leaves_an_existing_request_alone(cloud, state):
    cloud.foresee(states=[state])
    done = cloud.run("create.sh")
    assert (done.returncode, done.stdout) == (0, f"my-tpu already exists: {state}\n")
    assert cloud.gcloud() == [LIST]


def test_create_waits_until_the_tpu_exists(cloud):
    waiting = ["", "WAITING_FOR_RESOURCES", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]
    cloud.foresee(states=waiting)
    done = cloud.run("create.sh", "--wait")
    assert done.returncode == 0
    assert done.stdout == "my-tpu: WAITING_FOR_RESOURCES\nmy-tpu: PROVISIONING\n"
    assert cloud.gcloud().count(LIST) == 5 and len(cloud.calls("sleep")) == 3


@pytest.mark.parametrize("state", ["FAILED", "SUSPENDING", "SUSPENDED"])
@pytest.mark.parametrize("before", [[], ["", "PROVISIONING"]])
def test_create_ends_where_nothing_will_come(cloud, state, before):
    cloud.foresee(states=[*before, state])
    done = cloud.run("create.sh", "--wait")
    assert done.returncode == 1
    assert f"my-tpu is {state}, expected WAITING_FOR_RESOURCES" in done.stderr
    assert "run delete.sh, then create.sh again" in done.stderr


def test_setup_brings_the_commit_and_its_environment_to_every_worker(cloud, checkout, tmp_path):
    cloud.checkout = shutil.copytree(checkout, tmp_path / "mine")
    (cloud.checkout / "note.txt").write_text("not committed")
    done = cloud.run("setup.sh", "--bucket=gs://b")
    assert done.returncode == 0, done.stderr
    assert "note: uncommitted changes stay here" in done.stderr
    bundle = str(cloud.folder / "my-tpu.bundle")
    assert cloud.gcloud()[0] == scp(bundle, "my-tpu:mllm.bundle")
    assert not Path(bundle).exists()
    revision = git(cloud.checkout, "rev-parse", "HEAD")
    for number in range(2):
        home = cloud.worker(number)
        assert git(home, "rev-parse", "HEAD") == revision
        assert (home / "experiments" / "unlearn.py").is_file()
        assert not (home / "note.txt").exists()
    jax = re.search(r"^jax(.*)$", (ROOT / "requirements.txt").read_text(), re.M)[1]
    packages = ["install", "--quiet", "-r", "requirements.txt", f"jax[tpu]{jax}"]
    assert [c.arguments for c in cloud.calls("pip")] == [packages] * 2
    mounts = [(c.worker, c.arguments[-2:]) for c in cloud.calls("gcsfuse")]
    assert mounts == [("my-tpu-w-0", ["b", "runs"]), ("my-tpu-w-1", ["b", "runs"])]


def test_setup_again_brings_the_next_commit_and_keeps_the_environment(cloud, checkout, tmp_path):
    cloud.checkout = shutil.copytree(checkout, tmp_path / "mine")
    assert cloud.run("setup.sh").returncode == 0
    git(cloud.checkout, "rm", "-q", "experiments/report.py")
    git(cloud.checkout, "commit", "-q", "-m", "second")
    assert cloud.run("setup.sh").returncode == 0
    assert not (cloud.worker(1) / "experiments" / "report.py").exists()
    made = [c for c in cloud.calls("python3") if c.arguments[:3] == ["-m", "uv", "venv"]]
    assert len(made) == 2 and len(cloud.calls("pip")) == 4
    assert not cloud.calls("gcsfuse")


def test_setup_from_a_repository(cloud):
    url, revision = "https://example.org/a b.git", "v1"
    done = cloud.run("setup.sh", "--repo", url, "--revision", revision, "--dry-run")
    (line,) = done.stdout.splitlines()
    assert cloud.bash("-c", f"printf '%s\\n' {line}").stdout.splitlines()[-1] == (
        r"--command=git init -q mllm && git -C mllm fetch -q https://example.org/a\ b.git v1"
        " && git -C mllm checkout -q --force FETCH_HEAD"
        " && bash mllm/tpu_scripts/worker.sh install ''"
    )


def test_run_starts_the_same_words_with_the_flags_on_every_worker(cloud):
    cloud.install()
    done = cloud.run("run.sh", *COMMAND, *ODD)
    assert done.returncode == 0, done.stderr
    assert cloud.gcloud()[0] == ssh("idle mllm")
    start = "start mllm tpu_v4 python -m experiments.unlearn --config configs/mllmu/tiny.py"
    assert cloud.gcloud()[1][-1].startswith(ssh(start)[-1])
    assert len(cloud.gcloud()) == 2
    started = cloud.calls("python")
    assert [c.worker for c in started] == ["my-tpu-w-0", "my-tpu-w-1"]
    for number, call in enumerate(started):
        assert call.arguments == [*COMMAND[2:], *ODD]
        read = (cloud.folder / f"environment-{call.worker}").read_text().split("\0")
        assert {f"{k}={v}" for k, v in sourced("tpu_v4").items()} < set(read)
        assert cloud.log(number).read_text() == f"{call.worker} runs experiments.unlearn\n"


def test_run_starts_every_slice(cloud):
    cloud.install("my-tpu-0", "my-tpu-1")
    assert cloud.run("run.sh", "--node-count=2", *COMMAND).returncode == 0
    nodes = [arguments[4] for arguments in cloud.gcloud()]
    assert nodes == ["my-tpu-0", "my-tpu-1", "my-tpu-0", "my-tpu-1"]
    assert len(cloud.calls("python")) == 4


def test_run_refuses_while_a_session_runs_on_any_worker(cloud):
    cloud.install()
    cloud.foresee(running=["my-tpu-w-1"])
    done = cloud.run("run.sh", "--wait", *COMMAND)
    assert done.returncode == 1
    assert done.stderr.startswith("error: my-tpu-w-1: session mllm runs, expected none")
    assert cloud.gcloud() == [ssh("idle mllm")] and not cloud.calls("python")


@pytest.mark.parametrize("code", [0, 2, 75])
def test_run_waits_and_ends_as_the_command_ends(cloud, code):
    cloud.install()
    cloud.foresee(exit_code=code)
    done = cloud.run("run.sh", "--wait", *COMMAND)
    assert (done.returncode, done.stdout) == (code, "my-tpu-w-0 runs experiments.unlearn\n")
    attached = cloud.run("run.sh", "--attach")
    assert (attached.returncode, attached.stdout) == (code, done.stdout)
    assert cloud.gcloud()[-1] == ssh("follow mllm", worker=0)


def test_run_attached_to_nothing(cloud):
    cloud.install()
    done = cloud.run("run.sh", "--attach", "--session", "other")
    assert (done.returncode, done.stdout) == (2, "")
    assert "logs/other/my-tpu-w-0.log: no such file; no session other was started" in done.stderr


def test_run_stops_where_a_session_runs(cloud):
    cloud.install()
    cloud.foresee(running=["my-tpu-w-1"])
    assert cloud.run("run.sh", "--stop").returncode == 0
    killed = [c.worker for c in cloud.calls("tmux") if c.arguments[0] == "kill-session"]
    assert killed == ["my-tpu-w-1"]


def test_status_tells_state_session_and_the_end_of_each_log(cloud):
    cloud.install()
    cloud.foresee(exit_code=3)
    assert "my-tpu-w-1: session mllm was not started\n" in cloud.run("status.sh").stdout
    cloud.run("run.sh", *COMMAND)
    cloud.log(1).write_text("first\nsecond\nthird\n")
    done = cloud.run("status.sh", "--lines=2")
    assert done.stdout.startswith("my-tpu: ACTIVE\nmy-tpu\tREADY\tHEALTHY\n")
    ended = "my-tpu-w-1: session mllm ended with exit code 3\n"
    assert f"{ended}my-tpu-w-1| second\nmy-tpu-w-1| third\n" in done.stdout
    assert done.stdout.count("ended with exit code 3") == 2
    cloud.foresee(running=["my-tpu-w-0"])
    assert "my-tpu-w-0: session mllm runs\n" in cloud.run("status.sh").stdout


@pytest.mark.parametrize("state", ["PROVISIONING", ""])
def test_status_of_what_is_not_there_yet(cloud, state):
    cloud.foresee(states=[state])
    done = cloud.run("status.sh")
    assert done.stdout == f"my-tpu: {state or 'no such queued resource in us-central2-b'}\n"
    assert cloud.gcloud() == [LIST]


def test_fetch_brings_logs_of_all_workers_and_folders_of_runs(cloud):
    cloud.install()
    cloud.run("run.sh", *COMMAND)
    run = cloud.worker(0) / "runs" / "x" / "npo"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    cloud.foresee()
    done = cloud.run("fetch.sh", "--to=my results", "runs/x/npo/", "gs://b/runs/y")
    assert done.returncode == 0, done.stderr
    results = cloud.folder / "my results"
    assert sorted(p.name for p in (results / "logs" / "mllm").glob("*.log")) == [
        f"my-tpu-w-{number}.log" for number in range(2)
    ]
    assert (results / "runs" / "x" / "npo" / "run.json").is_file()
    source, target = "my-tpu:mllm/logs/mllm", "my results/logs/"
    assert cloud.gcloud() == [
        *[scp(source, target, "--recurse", worker=number) for number in range(2)],
        scp("my-tpu:mllm/runs/x/npo", "my results/runs/x/", "--recurse", worker=0),
        ["storage", "cp", "--recursive", "gs://b/runs/y", "my results/"],
    ]


DELETE = ["compute", "tpus", "queued-resources", "delete", "my-tpu"]
DELETE += ["--zone=us-central2-b", "--force", "--quiet"]


@pytest.mark.parametrize("arguments, reply", [(["--yes"], ""), ([], "y\n")])
def test_delete_looks_whether_it_is_gone(cloud, arguments, reply):
    cloud.foresee(states=["ACTIVE", ""])
    done = cloud.run("delete.sh", *arguments, input=reply)
    assert (done.returncode, done.stdout) == (0, "my-tpu is deleted\n")
    assert cloud.gcloud() == [LIST, DELETE, LIST]


@pytest.mark.parametrize("reply", ["", "n\n", "\n"])
def test_delete_asks(cloud, reply):
    done = cloud.run("delete.sh", input=reply)
    assert done.returncode == 2 and "nothing was deleted" in done.stderr
    assert cloud.gcloud() == [LIST]


def test_delete_does_not_report_as_gone_what_still_exists(cloud):
    cloud.foresee(states=["ACTIVE", "DELETING"])
    done = cloud.run("delete.sh", "--yes")
    assert done.returncode == 1
    assert "my-tpu is still DELETING, expected it to be gone; run delete.sh again" in done.stderr


def test_delete_of_nothing(cloud):
    cloud.foresee(states=[""])
    done = cloud.run("delete.sh")
    assert done.stdout == "my-tpu: no such queued resource in us-central2-b, nothing to delete\n"
    assert (done.returncode, cloud.gcloud()) == (0, [LIST])
