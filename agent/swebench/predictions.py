"""``preds.json``: what the harness judges. Made from the results, so it holds no more than they."""

from __future__ import annotations

import json
from collections.abc import Iterable

from rnj_agent.agent.swebench.results import ERRORS, InstanceResult, Prediction
from rnj_agent.agent.swebench.run_dir import RunDir, write_whole


class Predictions:
    """Of finished instances. One that ended for a reason of ours and has no patch is left out: an
    empty patch would say that the model gave none.
    """

    def __init__(self, run: RunDir, *, model_name: str, instance_ids: Iterable[str]) -> None:
        self._run = run
        self._model_name = model_name
        self._by_id: dict[str, Prediction] = {}
        wanted = set(instance_ids)
        for result in run.results():
            if result.instance_id in wanted:
                self.take(result)

    def take(self, result: InstanceResult) -> None:
        """Read the patch that speaks for the instance."""
        instance_id, chosen = result.instance_id, result.chosen
        if chosen is None and result.status in ERRORS:
            self._by_id.pop(instance_id, None)
            return
        patch = "" if chosen is None else self._run.read_patch(instance_id, chosen)
        self._by_id[instance_id] = Prediction(
            instance_id=instance_id,
            model_name_or_path=self._model_name,
            model_patch=patch.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        )

    def write(self) -> None:
        """Whole or not at all. Raises: OSError."""
        rows = {name: self._by_id[name].model_dump() for name in sorted(self._by_id)}
        text = json.dumps(rows, indent=1, ensure_ascii=False)
        write_whole(self._run.predictions, f"{text}\n".encode())
