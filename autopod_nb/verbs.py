"""The one table of commands: parsers, help, completion and the README's table all come from it."""

from __future__ import annotations

from autopod_nb.verb import (
    DRY_RUN,
    Kind,
    Offers,
    Option,
    Verb,
    as_json,
    fleet,
    help_columns,
    help_of,
    job_limits,
    markdown_of,
    market,
    one_pod,
    wait,
    yes,
)

_RUN = "%autopod run --job jobs/portrait.json"
_CELL = "%%comfyjob img2vid-basic"

VERBS: tuple[Verb, ...] = (
    Verb(
        name="connect",
        summary="Rent a pod and keep it for what comes; it ends by itself when it has been idle.",
        example="%autopod connect",
        options=(
            Option("--provider", "who rents it out", metavar="NAME", offers=Offers.PROVIDERS,
                   example="%autopod connect --provider local"),
            Option("--gpu", "this GPU and no other", metavar="NAME", offers=Offers.GPUS,
                   example="%autopod connect --gpu A6000"),
            *market("%autopod connect"),
            Option("--image", "container image", metavar="IMAGE", example="%autopod connect --image me/comfyui:1"),
            Option("--pod-template", "the provider's image preset, instead of an image", metavar="ID",
                   example="%autopod connect --pod-template 2lv7ev3wfp"),
            Option("--disk", "container disk, wiped when the pod stops", kind=Kind.COUNT, metavar="GB",
                   example="%autopod connect --disk 80"),
            Option("--volume", "volume of the pod, kept when it stops", kind=Kind.COUNT, metavar="GB",
                   example="%autopod connect --volume 40"),
            Option("--max-cost", "limit of the session; everything stops there", kind=Kind.USD, metavar="USD",
                   example="%autopod connect --max-cost 2"),
            Option("--idle-minutes", "the pod ends after this long without work", kind=Kind.MINUTES, metavar="N",
                   example="%autopod connect --idle-minutes 5"),
            Option("--pods", "so many at once, which share the jobs", kind=Kind.COUNT, metavar="N",
                   example="%autopod connect --pods 3"),
            *fleet("%autopod connect"),
            Option("--dry-run", DRY_RUN, kind=Kind.FLAG, example="%autopod connect --dry-run"),
            yes("%autopod connect --gpu 4090 --gpu-count 2", "a pod over 1 USD an hour"),
        ),
    ),
    Verb(
        name="gpus",
        summary="What can be rented now, as a DataFrame, the cheapest first; or keep GPUs as your own choice.",
        example="%autopod gpus",
        options=(
            *market("%autopod gpus"),
            Option("--provider", "who rents it out", metavar="NAME", offers=Offers.PROVIDERS,
                   example="%autopod gpus --provider local"),
            Option("--save", "from now on these are tried, in this order, when no GPU is named", metavar="GPU",
                   nargs="+", offers=Offers.GPUS, example="%autopod gpus --save A40 4090"),
        ),
    ),
    Verb(
        name="run",
        summary="Run job files, one after the other; without a pod, one is rented for them and ends after them.",
        example=_RUN,
        options=(
            Option("--job", "job files, JSON or YAML", metavar="FILE", nargs="+", offers=Offers.FILES,
                   example="%autopod run --job jobs/portrait.json jobs/forest.json"),
            Option("--jobs", "all job files that match, in the order of their names", metavar="GLOB",
                   offers=Offers.FILES, example="%autopod run --jobs 'jobs/*.json'"),
            *job_limits(_RUN), *fleet(_RUN), yes(_RUN, "rent a pod over 1 USD an hour"),
        ),
    ),
    Verb(
        name="again",
        summary="Run a job once more with the same values, under a new name.",
        example="%autopod again portrait",
        options=(
            Option("JOB", "which one", offers=Offers.ALL_JOBS, example="%autopod again portrait"),
            Option("--name", "its new name; portrait-2 and so on if left out", metavar="NAME",
                   example="%autopod again portrait --name portrait-large"),
            wait("%autopod again portrait"),
            Option("-o", "put its handle into this variable", kind=Kind.VARIABLE, metavar="VAR", dest="variable",
                   example="%autopod again portrait -o clip"),
            yes("%autopod again portrait", "rent a pod over 1 USD an hour"),
        ),
    ),
    Verb(
        name="status",
        summary="Show pods, jobs and money, or all about one pod.",
        example="%autopod status",
        options=(one_pod("%autopod status", "more about this one"), as_json("%autopod status")),
    ),
    Verb(
        name="wait",
        summary="Wait for jobs, or without a name for all jobs and for pods that boot or end.",
        example="%autopod wait",
        options=(
            Option("JOB", "jobs to wait for", nargs="*", offers=Offers.JOBS, example="%autopod wait portrait"),
            Option("--timeout", "give up waiting (not the job) after this long", kind=Kind.SECONDS, metavar="S",
                   example="%autopod wait --timeout 60"),
        ),
    ),
    Verb(
        name="cancel",
        summary="End jobs, and no others.",
        example="%autopod cancel portrait",
        options=(Option("JOB", "jobs to end", nargs="+", offers=Offers.JOBS,
                        example="%autopod cancel portrait forest"),),
    ),
    Verb(
        name="stop",
        summary="Let a pod finish its running job, fetch the results, and end it.",
        example="%autopod stop",
        options=(
            one_pod("%autopod stop"),
            Option("--all", "every pod of this session", kind=Kind.FLAG, example="%autopod stop --all"),
            Option("--now", "do not finish the running job", kind=Kind.FLAG, example="%autopod stop --now"),
        ),
    ),
    Verb(
        name="kill",
        summary="Terminate a pod at once, whatever it does.",
        example="%autopod kill",
        options=(
            one_pod("%autopod kill"),
            Option("--all", "every pod of this session", kind=Kind.FLAG, example="%autopod kill --all"),
            yes("%autopod kill", "lose results that are not here yet"),
        ),
    ),
    Verb(
        name="keep",
        summary="Begin a pod's idle countdown anew; limits stay in force.",
        example="%autopod keep",
        options=(one_pod("%autopod keep"),),
    ),
    Verb(
        name="detach",
        summary="Leave a pod running without this notebook, and say what will end it.",
        example="%autopod detach",
        options=(one_pod("%autopod detach"),),
    ),
    Verb(
        name="disconnect",
        summary="Let go of a machine of your own (ssh_host) when its running job is done; nothing on it ends.",
        example="%autopod disconnect",
        options=(one_pod("%autopod disconnect"),),
    ),
    Verb(
        name="adopt",
        summary="Take over pods whose process is gone, with their running jobs and panels, as after a kernel restart.",
        example="%autopod adopt",
    ),
    Verb(
        name="panel",
        summary="Show the control room: money, warnings, pods with their buttons, queue, logs, ComfyUI.",
        example="%autopod panel",
    ),
    Verb(
        name="pods",
        summary="List every pod that may bill: of this session, of other processes, nobody's, and unknown ones.",
        example="%autopod pods",
        options=(as_json("%autopod pods"),),
    ),
    Verb(
        name="jobs",
        summary="List the jobs of this session.",
        example="%autopod jobs",
        options=(
            Option("--all", "those of earlier sessions, too, as a DataFrame", kind=Kind.FLAG,
                   example="%autopod jobs --all"),
            Option("--plot", "as figures: pods and jobs along time, seconds per frame", kind=Kind.FLAG,
                   example="%autopod jobs --plot"),
            as_json("%autopod jobs"),
        ),
    ),
    Verb(
        name="templates",
        summary="List the workflow templates with what they take and give.",
        example="%autopod templates",
        options=(
            Option("TEMPLATE", "this one in detail, with a cell to begin with", nargs="?", offers=Offers.TEMPLATES,
                   example="%autopod templates img2vid-basic"),
            as_json("%autopod templates"),
        ),
    ),
    Verb(
        name="logs",
        summary="Show the end of ComfyUI's log, and say in words which known failures are in it.",
        example="%autopod logs",
        options=(
            one_pod("%autopod logs", "of which pod, if there are several"),
            Option("-n", "so many lines; 50 if left out", kind=Kind.COUNT, metavar="N", dest="lines",
                   example="%autopod logs -n 200"),
            Option("--grep", "only lines that this regular expression finds, whatever their case", metavar="RE",
                   example="%autopod logs --grep error"),
            Option("--follow", "a live view, until the pod ends or its button is pressed", kind=Kind.FLAG,
                   example="%autopod logs --follow"),
            Option("--of-pod", "the provider's log of the pod itself instead", kind=Kind.FLAG,
                   example="%autopod logs --of-pod"),
        ),
    ),
    Verb(
        name="gui",
        summary="Show ComfyUI's own page in the notebook, or say where it is.",
        example="%autopod gui",
        options=(one_pod("%autopod gui", "of which pod, if there are several"),),
    ),
    Verb(
        name="history",
        summary="What was run and what it cost, as a DataFrame.",
        example="%autopod history",
        options=(Option("--limit", "only the newest N", kind=Kind.COUNT, metavar="N",
                        example="%autopod history --limit 20"),),
    ),
    Verb(
        name="costs",
        summary="What was spent today and this month (UTC), and how much of it rendered nothing.",
        example="%autopod costs",
        options=(
            Option("--month", "another month", metavar="YYYY-MM", example="%autopod costs --month 2026-05"),
            Option("--by", "sums of the month by pod, job, template or gpu, as a DataFrame", metavar="WHAT",
                   offers=Offers.COST_GROUPS, example="%autopod costs --by template"),
            Option("--plot", "as figures: spending over time, cost per result, waste", kind=Kind.FLAG,
                   example="%autopod costs --plot"),
            as_json("%autopod costs"),
        ),
    ),
    Verb(
        name="reconcile",
        summary="Compare the provider's bill with what was booked here, pod by pod.",
        example="%autopod reconcile",
        options=(
            Option("--days", "so many days back; 7 if left out", kind=Kind.COUNT, metavar="N",
                   example="%autopod reconcile --days 30"),
            Option("--provider", "whose bill", metavar="NAME", offers=Offers.PROVIDERS,
                   example="%autopod reconcile --provider local"),
            as_json("%autopod reconcile"),
        ),
    ),
    Verb(
        name="export",
        summary="Write the history into a new file, or put it into a variable; no file is ever overwritten.",
        example="%autopod export",
        options=(
            Option("--format", "csv, parquet or json; else that of the file's name, else csv", metavar="FORMAT",
                   offers=Offers.FORMATS, example="%autopod export --format parquet"),
            Option("--output", "name of the file; autopod-history in the current folder if left out", metavar="FILE",
                   offers=Offers.FILES, example="%autopod export --output costs.json"),
            Option("-o", "put the DataFrame into this variable; alone, no file is written", kind=Kind.VARIABLE,
                   metavar="VAR", dest="variable", example="%autopod export -o costs"),
        ),
    ),
    Verb(
        name="config",
        summary="Show the settings and where each comes from, or change one.",
        example="%autopod config",
        options=(
            Option("ACTION", "get, set, unset, path (where the file is) or edit; get if left out", nargs="?",
                   offers=Offers.CONFIG_ACTIONS, example="%autopod config get"),
            Option("KEY", "which setting", nargs="?", offers=Offers.SETTINGS,
                   example="%autopod config get defaults.idle_minutes"),
            Option("VALUE", "its new value; you are asked for one that nobody may see", nargs="*",
                   example="%autopod config set defaults.gpu_preferences A40,RTX4090"),
        ),
    ),
    Verb(
        name="doctor",
        summary="Check that everything is there that this needs, and that nothing is left that should not be.",
        example="%autopod doctor",
        options=(as_json("%autopod doctor"),),
    ),
    Verb(
        name="help",
        summary="Explain the commands, or one of them.",
        example="%autopod help",
        options=(Option("VERB", "which one", nargs="?", offers=Offers.VERBS, example="%autopod help connect"),),
    ),
)  # fmt: skip
"""The verbs of ``%autopod``."""

CELL = Verb(
    name="comfyjob",
    summary="Run a workflow template, filled from the body of the cell: one job, or those of a sweep.",
    prefix="%%",
    example=_CELL,
    options=(
        Option("TEMPLATE", "name of a workflow template, or path of a file", offers=Offers.TEMPLATES, example=_CELL),
        Option("--name", "name of the job; made from the template if left out", metavar="NAME",
               example=_CELL + " --name portrait"),
        *job_limits(_CELL), *fleet(_CELL), yes(_CELL, "rent a pod over 1 USD an hour"),
    ),
)  # fmt: skip
"""The cell magic."""

BY_NAME = {verb.name: verb for verb in VERBS}
"""Verb's name → verb."""


def help_text(verb: Verb | None = None) -> str:
    """Help for one command, or the list of all."""
    if verb is not None:
        return help_of(verb)
    rows = [(known.name, known.summary) for known in VERBS]
    head = ["%autopod VERB …: pods, jobs and what they cost", ""]
    tail = ["", f"{CELL.usage}", f"  {CELL.summary}", "", "`%autopod help VERB` explains one."]
    return "\n".join([*head, *help_columns(rows), *tail])


def verbs_markdown() -> str:
    """The table of every command and option, with an example of each, for the README."""
    return markdown_of((CELL, *VERBS))
