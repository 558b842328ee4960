
"use strict";

/* Everything the rows need is in the page already. This makes it possible to search, filter, sort and open them, and
   keeps what is asked for in the address, so that a view can be sent to somebody. Text is only ever set as text. */

(() => {
  const id = (name) => document.getElementById(name);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const { jobs } = JSON.parse(id("report").textContent);
  const { ranks, groups, ways } = JSON.parse(id("page").textContent);
  const body = id("jobs").tBodies[0];
  const heads = all("#jobs thead th");
  const natural = [...body.rows];
  const rows = [];
  for (const row of natural) rows[row.dataset.k] = row;
  const order = natural.map((row) => Number(row.dataset.k));
  const members = new Map(Object.entries(groups).map(([name, list]) => [name, new Set(list)]));
  const SORTED_BY = 3; // how many columns count, the last one clicked first
  const REASONS = 8; // how many reasons are shown before somebody asks for more

  // --- state: what the address says

  const fresh = () => ({ q: "", status: new Set(), dialect: "", code: "", reason: "", sort: [], open: new Set(), skipped: "" });
  let state = fresh();

  function read() {
    const said = new URLSearchParams(location.hash.slice(1));
    const known = new Set(heads.map((head) => head.dataset.key));
    state = fresh();
    for (const key of ["q", "dialect", "code", "reason", "skipped"]) state[key] = said.get(key) ?? "";
    if (!members.has(state.reason)) state.reason = "";
    const words = (key) => (said.get(key) ?? "").split(",").filter(Boolean);
    for (const { dataset } of all("[data-status]")) {
      if (words("status").includes(dataset.status)) state.status.add(dataset.status);
    }
    state.sort = words("sort")
      .map((word) => ({ key: word.replace(/^-/, ""), down: word.startsWith("-") }))
      .filter(({ key }) => known.has(key));
    for (const name of said.getAll("open")) state.open.add(name);
  }

  // Browsers count how often a page rewrites its address, so what changes quickly is written once.
  let pending = 0;

  function write() {
    clearTimeout(pending);
    pending = setTimeout(written, 100);
  }

  function written() {
    const said = new URLSearchParams();
    for (const key of ["q", "dialect", "code", "reason", "skipped"]) if (state[key]) said.set(key, state[key]);
    if (state.status.size) said.set("status", [...state.status].join(","));
    if (state.sort.length) said.set("sort", state.sort.map(({ key, down }) => (down ? "-" : "") + key).join(","));
    for (const name of state.open) said.append("open", name);
    history.replaceState(null, "", `#${said}`);
  }

  // --- which jobs, in which order

  const found = jobs.map(() => null);

  function words(job) {
    const why = job.reason;
    return [
      job.name, job.source, job.status, job.dialect, job.target, job.level, job.exactness, job.sha256, job.same_as,
      ...job.warnings, ...(why ? [why.code, why.what, ...why.details, why.where, why.tried, ...why.remedies] : []),
    ].filter(Boolean).join("\n").toLowerCase();
  }

  function wanted() {
    const terms = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const group = members.get(state.reason);
    return (k) => {
      const job = jobs[k];
      if (state.status.size && !state.status.has(job.status)) return false;
      if (state.dialect && (job.dialect ?? "-") !== state.dialect) return false;
      if (state.code && (job.reason?.code ?? "-") !== state.code) return false;
      if (group && !group.has(k)) return false;
      if (!terms.length) return true;
      found[k] ??= words(job);
      return terms.every((term) => found[k].includes(term));
    };
  }

  function sorted(list) {
    const keys = state.sort.map(({ key, down }) => ({ rank: ranks[key], down }));
    if (!keys.length) return list;
    return list.sort((a, b) => {
      for (const { rank, down } of keys) {
        const x = rank[a], y = rank[b];
        if (x === y) continue;
        if (x < 0 || y < 0) return x < 0 ? 1 : -1; // what a job does not have comes last either way
        return down ? y - x : x - y;
      }
      return 0;
    });
  }

  function show() {
    const list = sorted(order.filter(wanted()));
    body.replaceChildren(...list.map((k) => rows[k]));
    const count = (n) => n.toLocaleString("en");
    const some = list.length !== jobs.length;
    id("shown").textContent = (some ? `${count(list.length)} of ` : "") + `${count(jobs.length)} checkpoints`;
    id("clear").hidden = !some;
    id("nothing").hidden = list.length > 0 || !jobs.length;
    for (const button of all("[data-status]")) button.setAttribute("aria-pressed", state.status.has(button.dataset.status));
    for (const button of all("[data-group]")) button.setAttribute("aria-pressed", state.reason === button.dataset.group);
    const first = state.sort[0] ?? { key: heads[0].dataset.key, down: false };
    for (const head of heads) {
      if (head.dataset.key === first.key) head.setAttribute("aria-sort", first.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    id("sort").value = (first.down ? "-" : "") + first.key;
    for (const key of ["dialect", "code"]) id(key).value = state[key];
    if (id("search").value !== state.q) id("search").value = state.q;
  }

  function change(what) {
    what(state);
    show();
    write();
  }

  function sortBy(key, down) {
    change((s) => { s.sort = [{ key, down }, ...s.sort.filter((other) => other.key !== key)].slice(0, SORTED_BY); });
  }

  // --- a job in full

  function make(tag, className, ...content) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...content.map((part) => (typeof part === "string" ? seen(part) : part)));
    return made;
  }

  // Line breaks stay; what cannot be seen, or turns the text around it, is spelled out.
  const HIDDEN = /[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/gu;

  function seen(text) {
    const spelled = (code) => {
      const digits = code.toString(16);
      return code < 256 ? `\\x${digits.padStart(2, "0")}` : `\\u${digits.padStart(4, "0")}`;
    };
    return text.replace(HIDDEN, (c) => ({ "\t": "\\t", "\r": "\\r" })[c] ?? spelled(c.charCodeAt(0)));
  }

  function size(bytes) {
    for (const unit of ["B", "kB", "MB"]) {
      if (bytes < 1000) return `${bytes.toFixed(unit === "B" ? 0 : 1)} ${unit}`;
      bytes /= 1000;
    }
    return `${bytes.toFixed(2)} GB`;
  }

  function copying(text) {
    const button = make("button", "copy", "copy");
    button.type = "button";
    button.setAttribute("aria-label", `copy ${seen(text)}`);
    button.addEventListener("click", async () => {
      const done = await copied(text, button.parentElement.querySelector("code"));
      button.textContent = done ? "copied" : "press Ctrl+C";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
    return button;
  }

  async function copied(text, shown) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch { // a page from a file may not be trusted with the clipboard: the text is selected instead
      getSelection().selectAllChildren(shown);
      return document.execCommand("copy");
    }
  }

  function remedy([words, remark]) {
    const line = make("dd", "remedy", make("code", "", words), copying(words));
    if (remark) line.append(make("small", "", remark));
    return line;
  }

  function panel(k) {
    const job = jobs[k];
    const list = make("dl");
    const tell = (label, value, className = "") => {
      if (!value) return;
      list.append(make("dt", "", label), value instanceof Node ? value : make("dd", className, make("bdi", "", value)));
    };
    const why = job.reason;
    if (why) {
      tell(why.code, why.what, "what");
      tell("because", why.details.join("\n"));
      tell("in", why.where);
      tell("tried", why.tried);
      why.remedies.flatMap((text) => ways[text]).forEach((text, n) => tell(n ? "or" : "next", remedy(text)));
    }
    tell("warnings", job.warnings.join("\n"));
    tell("source", job.source);
    tell("target", job.target);
    tell("sha256", job.sha256, "digest");
    if (job.same_as) tell("same bytes as", make("dd", "", link(job.same_as)));
    const finished = job.finished?.replace("T", " ").replace("+00:00", " UTC");
    tell("finished", [finished, job.earlier ? "in an earlier run" : ""].filter(Boolean).join(", "));
    tell("memory", job.peak_memory_bytes ? size(job.peak_memory_bytes) : "");
    tell("attempts", job.attempts > 1 ? String(job.attempts) : "");
    const checks = Object.entries(job.checks ?? {});
    if (checks.length) list.append(make("dt", "wide", "What was checked"));
    for (const [name, said] of checks) tell(name, said);
    const report = rows[k].querySelector(".c-report a");
    if (report) {
      const whole = report.cloneNode();
      whole.textContent = seen(job.report);
      tell("report", make("dd", "", whole));
    }
    const cell = make("td", "panel", list);
    cell.id = `p${k}`;
    cell.setAttribute("role", "cell");
    cell.colSpan = heads.length;
    return cell;
  }

  function link(name) {
    const button = make("button", "quiet", make("bdi", "", name));
    button.type = "button";
    button.addEventListener("click", () => {
      const k = jobs.findIndex((job) => job.name === name);
      if (k < 0) return;
      if (!rows[k].isConnected) change((s) => Object.assign(s, fresh(), { sort: s.sort, open: s.open }));
      open(k, true);
      write();
      rows[k].scrollIntoView({ block: "center" });
      rows[k].querySelector(".toggle").focus();
    });
    return button;
  }

  function open(k, yes) {
    const row = rows[k], toggle = row.querySelector(".toggle");
    const shown = row.querySelector(".panel");
    if (yes === Boolean(shown)) return;
    if (yes) row.append(panel(k));
    else shown.remove();
    toggle.setAttribute("aria-expanded", yes);
    if (yes) toggle.setAttribute("aria-controls", `p${k}`);
    else toggle.removeAttribute("aria-controls");
    if (yes) state.open.add(jobs[k].name);
    else state.open.delete(jobs[k].name);
  }

  function reopen() {
    const names = new Set(state.open);
    for (const [k, job] of jobs.entries()) open(k, names.has(job.name));
  }

  // --- what people do

  body.addEventListener("click", (event) => {
    if (event.target.closest("a, .panel") || (event.detail && !getSelection().isCollapsed)) return;
    const row = event.target.closest("tr");
    if (!row) return;
    open(Number(row.dataset.k), !row.querySelector(".panel"));
    write();
  });

  body.addEventListener("keydown", (event) => {
    if (!event.target.classList.contains("toggle") || event.altKey || event.ctrlKey || event.metaKey) return;
    const row = event.target.closest("tr");
    const next = {
      ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling,
      Home: body.rows[0], End: body.rows[body.rows.length - 1],
    };
    if (!(event.key in next)) return;
    event.preventDefault();
    next[event.key]?.querySelector(".toggle").focus();
  });

  for (const head of heads) {
    head.querySelector("button").addEventListener("click", () => {
      const is = head.getAttribute("aria-sort");
      sortBy(head.dataset.key, is ? is === "ascending" : "numeric" in head.dataset);
    });
    const title = head.textContent.trim();
    id("sort").append(new Option(`${title} ↑`, head.dataset.key), new Option(`${title} ↓`, `-${head.dataset.key}`));
  }
  id("sort").addEventListener("change", ({ target }) => sortBy(target.value.replace(/^-/, ""), target.value.startsWith("-")));

  for (const button of all("[data-status]")) {
    const { status } = button.dataset;
    button.addEventListener("click", () => change((s) => s.status.delete(status) || s.status.add(status)));
  }

  for (const button of all("[data-group]")) {
    const { group } = button.dataset;
    button.addEventListener("click", () => change((s) => { s.reason = s.reason === group ? "" : group; }));
  }

  for (const key of ["dialect", "code"]) {
    id(key).addEventListener("change", ({ target }) => change((s) => { s[key] = target.value; }));
  }

  let typing = 0;
  id("search").addEventListener("input", ({ target }) => {
    cancelAnimationFrame(typing); // several keys in one frame are one question
    typing = requestAnimationFrame(() => change((s) => { s.q = target.value; }));
  });

  id("clear").addEventListener("click", () => {
    change((s) => Object.assign(s, fresh(), { sort: s.sort, open: s.open, skipped: s.skipped }));
    id("search").focus();
  });

  id("tools").addEventListener("submit", (event) => event.preventDefault());

  document.addEventListener("keydown", (event) => {
    const typed = event.target.closest?.("input, select, textarea");
    if (event.key === "/" && !typed && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      id("search").focus();
    }
  });

  const skipped = all("#skipped tbody tr");

  function skip() {
    const term = state.skipped.toLowerCase();
    for (const row of skipped) row.hidden = !row.textContent.toLowerCase().includes(term);
    if (id("skipped-search").value !== state.skipped) id("skipped-search").value = state.skipped;
    if (term) id("skipped").open = true;
  }

  id("skipped-search").addEventListener("input", ({ target }) => {
    state.skipped = target.value;
    skip();
    write();
  });

  const reasons = all(".reasons li");
  const more = id("all-reasons");
  more.textContent = `${reasons.length - REASONS} more`;

  function fold(yes) {
    reasons.forEach((item, n) => { item.hidden = yes && n >= REASONS && !item.querySelector('[aria-pressed="true"]'); });
    more.hidden = !yes || reasons.length <= REASONS;
  }

  more.addEventListener("click", () => {
    fold(false);
    reasons[REASONS].querySelector("button").focus();
  });

  function start() {
    read();
    show();
    reopen();
    skip();
    fold(true);
  }

  addEventListener("hashchange", start);
  id("tools").hidden = false;
  id("skipped-search").hidden = false;
  start();
})();
