"""Stands for SLURM's `sbatch`: runs a job at once, the tasks of an array side by side, and prints the job's number.

As the real one it copies the script away from its folder, starts it in the folder of the submission, writes its output
to the file that the script names, and ends well whether or not the job does. Dependencies are only noted: a job that
is started has seen the end of all before it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path


def main(words: list[str]) -> None:
    options = [word for word in words if word.startswith("--")]
    script, *arguments = [word for word in words if not word.startswith("--")]
    given = dict(option[2:].split("=", 1) for option in options if "=" in option)
    spool = Path(os.environ["SPOOL"])
    number = len(list(spool.iterdir())) + 1
    copy = spool / str(number) / "slurm_script"
    copy.parent.mkdir()
    shutil.copy(script, copy)
    written = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)", copy.read_text(), re.MULTILINE)) | given
    first, last = (int(end) for end in written["array"].split("-")) if "array" in written else (0, 0)
    running = []
    for task in range(first, last + 1):
        array = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": str(last - first + 1)} if last else {}
        environment = os.environ | {"SLURM_SUBMIT_DIR": str(Path.cwd()), "SLURM_JOB_ID": str(number)} | array
        name = written["output"]
        for sign, value in {"%x": written["job-name"], "%j": number, "%A": number, "%a": task}.items():
            name = name.replace(sign, str(value))
        with open(name, "w") as output:
            command = ["bash", str(copy), *arguments]
            running.append(subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT))
    codes = [process.wait() for process in running]
    with open(spool.parent / "jobs.txt", "a") as jobs:
        jobs.write(f"{number} {Path(script).name} {given.get('dependency', '')} {codes}\n")
    sys.stdout.write(f"{number}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
