"""What every other folder stands on: configs, artifacts, files, progress, devices, processes.

Import from the modules themselves (`groundup.core.config`, `groundup.core.files`, …), so that a
command that never touches a tensor never pays for importing torch (`core.device` and
`core.processes` do).
"""
