"""The systems, a module each with a class `System`. What the worker calls, and what it times, is this:

| method | |
|---|---|
| `System(variant)` | `version` says what it is |
| `write(folder, task, cells)` | stores the datasets in a folder that is not there yet; `cells` are of each variable, in the task's order |
| `open(folder, task)` | a handle, for the following |
| `stacked(handle, task, box)` | the box of all datasets: an array for each variable |
| `single(handle, task, number, variable, box)` | the box of one dataset's variable, as an array |
| `names(handle)` | the names of all datasets |

and, where it has them, outside of what is timed:

| method | |
|---|---|
| `load(task)` | the cells as its `write` wants them |
| `prepare(folder, task, box)` | before rounds of stacked reads of that box |
| `arrays(answer, task)` | arrays of what its `stacked` gave |
| `pids()` | the processes that work for it, measured with it |
| `close()` | at the end of the process |
"""
