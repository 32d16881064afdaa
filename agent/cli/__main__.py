"""``python -m rnj_agent.agent.cli``: the same as ``rnj-agent``."""

from rnj_agent.agent.cli import main

if __name__ == "__main__":
    main()
