# In the place of conda, for scripts that were written for SWE-bench's own images: one environment,
# which is a virtual environment of Python.
conda() {
  case ${1-} in
    activate)
      VIRTUAL_ENV_DISABLE_PROMPT=1
      PATH=${PATH//\/opt\/miniconda3\/envs\/testbed\/bin:/} # of a shell above this one
      . /opt/miniconda3/envs/testbed/bin/activate
      export CONDA_DEFAULT_ENV=testbed
      ;;
    deactivate)
      if declare -F deactivate >/dev/null; then deactivate; fi
      unset CONDA_DEFAULT_ENV
      ;;
    list) python -m pip list ;;
    *)
      echo "conda: this image has a virtual environment; only activate, deactivate and list" >&2
      return 1
      ;;
  esac
}
