"use strict";
// Tables that sort and filter, and the reader of trajectories. All text goes in as text.
document.documentElement.classList.add("scripted");
const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const make = (name, kind, text) => {
  const element = document.createElement(name);
  if (kind) element.className = kind;
  if (text !== undefined) element.textContent = text;
  return element;
};

const theme = one("#theme");
theme.hidden = false;
theme.onclick = () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.style.colorScheme || (dark ? "dark" : "light");
  document.documentElement.style.colorScheme = now === "dark" ? "light" : "dark";
};

const valueOf = (cell) => cell.dataset.value ?? cell.textContent.trim();
for (const table of all("table.sortable")) {
  const heads = all("thead th", table);
  heads.forEach((head, column) => {
    if (head.dataset.sort === undefined) return;
    head.tabIndex = 0;
    const isText = head.dataset.sort === "text";
    const sort = () => {
      const first = isText ? "ascending" : "descending";
      const other = isText ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const body = table.tBodies[0];
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [valueOf(a.cells[column]), valueOf(b.cells[column])];
        return sign * (isText ? x.localeCompare(y, "en", { numeric: true }) : x - y);
      });
      body.append(...rows);
    };
    head.onclick = sort;
    head.onkeydown = (event) => event.key === "Enter" && sort();
  });
}

const rows = () => all("#instances tbody tr");
const filter = () => {
  const words = one("#filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const verdict = one("#verdict").value;
  let count = 0;
  for (const row of rows()) {
    const text = row.textContent.toLowerCase();
    row.hidden = (verdict && row.dataset.verdict !== verdict) || !words.every((word) => text.includes(word));
    count += !row.hidden;
  }
  one("#shown").textContent = words.length || verdict ? `${count} shown` : "";
};
one("#filter").oninput = one("#verdict").onchange = filter;

const unpack = async (id) => {
  const packed = one(`script[data-packed="${CSS.escape(id)}"]`).textContent;
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
};

const reader = one("#reader");
const page = one(".read", reader);
const SHOWN_LINES = 16;

const folded = (text, kind) => {
  const block = make("pre", kind);
  const lines = text.split("\n");
  if (lines.length <= SHOWN_LINES + 4) {
    block.textContent = text;
    return [block];
  }
  block.textContent = lines.slice(0, SHOWN_LINES).join("\n");
  const more = make("button", "more", `${lines.length - SHOWN_LINES} more lines`);
  more.onclick = () => { block.textContent = text; more.remove(); };
  return [block, more];
};

const prose = (text, kind, command) => {
  const box = make("div", kind);
  text.split(/^(```[^\n]*\n[\s\S]*?^```[ \t]*$)/m).forEach((part) => {
    if (part.startsWith("```")) {
      const code = part.replace(/^```[^\n]*\n/, "").replace(/```[ \t]*$/, "").trimEnd();
      if (code.trim() !== command) box.append(...folded(code, ""));
      return;
    }
    part.trim().split(/(`[^`\n]+`)/).forEach((piece, odd) => {
      box.append(odd % 2 ? make("code", "", piece.slice(1, -1)) : piece);
    });
  });
  return box.textContent || box.children.length ? [box] : [];
};

const diff = (text) => {
  const block = make("pre", "diff");
  for (const line of text.split("\n")) {
    let kind = "";
    if (/^(diff |index |--- |\+\+\+ |new file|deleted file)/.test(line)) kind = "file";
    else if (line.startsWith("@@")) kind = "hunk";
    else if (line.startsWith("+")) kind = "plus";
    else if (line.startsWith("-")) kind = "minus";
    block.append(make("span", kind, line));
  }
  return block;
};

const entry = ([kind, , text, exit, failed], next) => {
  if (kind === "task") return folded(text, "");
  if (kind === "said") return prose(text, "said", next && next[0] === "ran" ? next[2].replace(/^\$ /, "").trim() : "");
  if (kind === "thought") return [make("div", "thought", text)];
  if (kind === "ran") return [make("pre", "ran", text)];
  if (kind === "gap") return [make("div", "gap", `${text} left out`)];
  if (kind === "told") {
    const parts = text || failed ? folded(text || "(no output)", failed ? "failed" : "") : [];
    if (exit && !text.includes("[exit code")) parts.push(make("div", "exit", `exit code ${exit}`));
    return parts;
  }
  return [make("div", kind, text)];
};

const number = (value) => (value ?? 0).toLocaleString("en-US");
const size = (bytes) => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} KB` : `${number(Math.round(bytes / 1e6))} MB`);

const showAttempt = (attempt) => {
  const { result } = attempt;
  const facts = [result.status, `${number(result.num_steps)} steps`, `${number(result.num_prompt_tokens)} tokens read, ${number(result.num_completion_tokens)} written`, `${(result.duration_s ?? 0).toFixed(0)} s`];
  if (result.temperature !== undefined && result.temperature !== null) facts.push(`temperature ${result.temperature}`);
  if (result.seed !== undefined && result.seed !== null) facts.push(`seed ${result.seed}`);
  if (result.unusable) facts.push(`its patch does not apply: ${result.unusable}`);
  if (result.tests_broken) facts.push(`its patch breaks ${number(result.tests_broken)} tests that passed`);
  page.append(make("div", "note", facts.join(" · ")));
  if (!attempt.entries.length) page.append(make("div", "note", "No event log."));
  let step = 0;
  attempt.entries.forEach((each, index) => {
    const parts = entry(each, attempt.entries[index + 1]);
    if (each[1] && each[1] !== step && parts.length) {
      step = each[1];
      const mark = make("div");
      mark.append(make("span", "step", step));
      page.append(mark);
    }
    page.append(...parts);
  });
  if (!attempt.entries.some((each) => each[0] === "end") && result.detail) page.append(make("div", "end", `${result.status}: ${result.detail}`));
  const note = make("div", "note", attempt.whole ? "The event log: " : "Shortened here. The whole event log: ");
  const link = make("a", "mono", attempt.path);
  link.href = `${RUN_PATH}/${attempt.path}`;
  note.append(link, ` (${size(attempt.bytes)})`);
  page.append(note);
};

const showPatch = (attempt) => {
  page.append(attempt.patch ? diff(attempt.patch) : make("div", "note", "No patch."));
  if (attempt.patchLeftOut) page.append(make("div", "gap", `${number(attempt.patchLeftOut)} characters left out`));
};

const showTests = (evaluation) => {
  page.append(make("div", "note", `${evaluation.status.replace("_", " ")}, judged by the ${evaluation.judge ?? "local"} evaluation${evaluation.detail ? `: ${evaluation.detail}` : ""}`));
  const lists = [["should pass now, and do", "fail_to_pass_passed"], ["should pass now, and fail", "fail_to_pass_failed"], ["passed before, and fail", "pass_to_pass_failed"]];
  for (const [words, key] of lists) {
    const tests = evaluation[key] ?? [];
    if (tests.length) page.append(make("div", "note", `${number(tests.length)} ${words}`), ...folded(tests.join("\n"), key.endsWith("failed") ? "failed" : ""));
  }
};

const show = async (id) => {
  const row = one(`#instances tr[data-id="${CSS.escape(id)}"]`);
  if (!row) return;
  const content = await unpack(id);
  one("h3", reader).textContent = id;
  const [, verdict, , , , , , , words] = [...row.cells].map((cell) => cell.textContent.trim());
  one(".facts", reader).textContent = [verdict, content.reason, words, content.why].filter(Boolean).join(" · ");
  const several = content.attempts.length > 1;
  const tabs = [];
  for (const attempt of content.attempts) {
    const name = several ? `Attempt ${attempt.result.attempt}${attempt.chosen ? " (chosen)" : ""}` : "Trajectory";
    tabs.push([name, () => showAttempt(attempt), attempt.chosen]);
    if (attempt.chosen || !several) tabs.push(["Patch", () => showPatch(attempt), false]);
  }
  if (content.evaluation) tabs.push(["Tests", () => showTests(content.evaluation), false]);
  const buttons = tabs.map(([name, draw]) => {
    const button = make("button", "", name);
    button.role = "tab";
    button.onclick = () => {
      buttons.forEach((each) => each.setAttribute("aria-selected", each === button));
      page.replaceChildren();
      draw();
      page.scrollTop = 0;
    };
    return button;
  });
  one(".tabs", reader).replaceChildren(...buttons);
  buttons[Math.max(0, tabs.findIndex((tab) => tab[2]))].click();
  if (!reader.open) reader.showModal();
  page.focus({ preventScroll: true });
};

const go = (by) => {
  const ids = rows().filter((row) => !row.hidden).map((row) => row.dataset.id);
  const id = ids[ids.indexOf(decodeURIComponent(location.hash.slice(1))) + by];
  if (id) location.hash = encodeURIComponent(id);
};
const follow = () => (location.hash.length > 1 ? show(decodeURIComponent(location.hash.slice(1))) : reader.close());
reader.onclose = () => location.hash && history.replaceState(null, "", location.pathname + location.search);
reader.onclick = (event) => event.target === reader && reader.close();
all("[data-go]", reader).forEach((button) => {
  button.onclick = () => (button.dataset.go === "0" ? reader.close() : go(Number(button.dataset.go)));
});
document.addEventListener("keydown", (event) => {
  if (!reader.open) return;
  if (event.key === "ArrowLeft") go(-1);
  if (event.key === "ArrowRight") go(1);
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("a.instance, #instances tbody tr");
  if (!link || event.ctrlKey || event.metaKey || event.button) return;
  event.preventDefault();
  location.hash = encodeURIComponent(link.dataset.id);
});
window.addEventListener("hashchange", follow);
if (location.hash.length > 1) follow();
