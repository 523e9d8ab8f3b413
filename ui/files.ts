/**
 * The stylesheet, the icon and the script of the page, which contain nothing of the API. They are served as files,
 * because the page allows neither inline style nor inline script.
 */

/** The stylesheet, for light and dark, from 360 to 1,920 pixels. */
const STYLE = `
:root {
  color-scheme: light dark;
  --back: #fff; --panel: #f5f6f8; --text: #1b1f24; --faint: #57606a; --line: #d0d7de; --link: #0a58ca;
  --good: #17692f; --good-back: #e3f5e7; --bad: #a40e26; --bad-back: #fdeaec; --wait: #7a4b00; --wait-back: #fff3d6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #0f1419; --panel: #1a2129; --text: #e6e9ed; --faint: #a3adb8; --line: #3a444f; --link: #79b8ff;
    --good: #7ee2a0; --good-back: #10321c; --bad: #ff9ba6; --bad-back: #43141b; --wait: #ffd479; --wait-back: #3b2a05;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html { font: 16px/1.5 system-ui, sans-serif; background: var(--back); color: var(--text); }
body { margin: 0; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
main:focus { outline: none; }
.skip { position: absolute; left: -100vw; }
.skip:focus { left: .5rem; top: .5rem; z-index: 1; padding: .5rem 1rem; background: var(--back); }
.top { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1.5rem; padding: .5rem 1rem;
  background: var(--panel); border-bottom: 1px solid var(--line); }
.brand { font-weight: 700; color: inherit; text-decoration: none; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 0; padding: 0; list-style: none; }
nav a { display: inline-block; padding: .35rem 0; }
nav a[aria-current] { font-weight: 700; color: inherit; }
.logout { margin-left: auto; }
main, footer { max-width: 100rem; margin: 0 auto; padding: 1rem; }
footer { color: var(--faint); border-top: 1px solid var(--line); overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .25rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 1.75rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; }
.notice h2, .panel h2 { margin-top: .5rem; }
p, li, dd, td { overflow-wrap: anywhere; }
.lead { font-size: 1.15rem; max-width: 60rem; }
.lead::first-letter, .notice li::first-letter { text-transform: uppercase; }
.faint, .empty, caption { color: var(--faint); }
code, pre { font: .9em/1.45 ui-monospace, monospace; }
pre { padding: .75rem; background: var(--panel); border: 1px solid var(--line); border-radius: .4rem;
  overflow-x: auto; white-space: pre-wrap; }
table { width: 100%; border-collapse: collapse; }
caption { text-align: left; padding: .25rem 0; }
th, td { text-align: left; vertical-align: top; padding: .45rem .75rem .45rem 0; border-bottom: 1px solid var(--line); }
td { min-width: 6.5rem; }
td .label { display: none; }
td .state { white-space: nowrap; }
.name { margin-top: -.5rem; }
.state { display: inline-block; padding: 0 .5rem; border-radius: .75rem; border: 1px solid currentColor; }
.state.pending, .state.approved, .wait { color: var(--wait); background: var(--wait-back); }
.state.issued, .good { color: var(--good); background: var(--good-back); }
.state.denied, .state.failed, .bad { color: var(--bad); background: var(--bad-back); }
.notice { padding: .6rem .9rem; border: 1px solid currentColor; border-radius: .4rem; max-width: 60rem; }
.notice.done { color: var(--good); background: var(--good-back); }
.notice.fault, .warning { color: var(--bad); background: var(--bad-back); }
.facts { margin: 0; }
.facts > div { display: grid; grid-template-columns: minmax(8rem, 14rem) 1fr; gap: 0 1rem; padding: .3rem 0;
  border-bottom: 1px solid var(--line); }
dt { color: var(--faint); }
dd { margin: 0; }
form p { margin: .75rem 0; }
label { display: block; font-weight: 600; }
.filter { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: end; margin-bottom: 1rem; }
input[type=text], input[type=search], select, textarea { font: inherit; color: inherit; background: var(--back);
  border: 1px solid var(--faint); border-radius: .4rem; padding: .4rem .6rem; max-width: 100%; }
textarea { width: 100%; max-width: 60rem; min-height: 7rem; }
button, .button { font: inherit; font-weight: 600; padding: .45rem 1rem; border-radius: .4rem; cursor: pointer;
  border: 1px solid var(--link); background: var(--link); color: var(--back); text-decoration: none; }
button.danger { border-color: var(--bad); background: var(--bad); }
button.quiet { background: transparent; color: var(--link); border-color: transparent; padding: .35rem 0; }
.forms { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
.panel input[type=text] { width: 100%; }
.panel { padding: .25rem 1rem 1rem; background: var(--panel); border: 1px solid var(--line); border-radius: .4rem; }
.pager { display: flex; gap: 1.5rem; padding: 1rem 0; }
.pager span { color: var(--faint); }
.story { display: grid; gap: 1rem 2.5rem; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); max-width: 80rem; }
.story .title { margin: 0 0 .5rem; }
.story #steps { grid-column: 1 / -1; }
.picture { display: block; width: 100%; max-width: 36rem; height: auto; font-size: 13px; }
.picture text { fill: var(--text); }
.picture .name { font-weight: 700; }
.picture .small { font-size: 12px; }
.picture .box { fill: var(--panel); stroke: var(--line); stroke-width: 1.5; }
.picture .absent { opacity: .45; }
.picture .missing { opacity: 0; }
.picture text.good { fill: var(--good); }
.picture text.bad { fill: var(--bad); }
.picture text.wait { fill: var(--wait); }
.picture .good > .box { stroke: var(--good); fill: var(--good-back); }
.picture .wait > .box { stroke: var(--wait); fill: var(--wait-back); }
.picture .bad > .box, .picture .thief > .box { stroke: var(--bad); fill: var(--bad-back); }
.picture .off > .box { stroke-dasharray: 5 4; }
.picture .arrow path { fill: none; stroke: var(--line); stroke-width: 2; }
.picture .used path { stroke: var(--link); stroke-width: 4; }
.picture .label { fill: var(--link); }
.picture .used text { fill: var(--back); font-weight: 700; font-size: 12px; }
.picture .refused path { stroke: var(--bad); }
.picture .refused .label { fill: var(--bad); }
.reasons { margin: 0 0 1rem; }
.reasons dt { font-weight: 600; color: inherit; }
.reasons dd { margin: 0 0 .5rem; }
.controls { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: center; }
.chapters { columns: 2 26rem; column-gap: 2.5rem; }
.chapters li { margin-bottom: .5rem; break-inside: avoid; }
.story pre { overflow-wrap: anywhere; }
.picture .sign { fill: none; stroke: currentColor; stroke-width: 2.5; stroke-linecap: round; }
.picture .good .sign { stroke: var(--good); }
.picture .wait .sign { stroke: var(--wait); }
.picture .bad .sign, .picture .thief .sign { stroke: var(--bad); }
summary { cursor: pointer; padding: .15rem 0; }
@media (max-width: 60rem) { .story { grid-template-columns: minmax(0, 1fr); } }
@media (max-width: 48rem) {
  thead { display: block; position: absolute; width: 1px; height: 1px; overflow: hidden;
    clip-path: inset(50%); }
  caption { display: block; }
  table, tbody, tr, td { display: block; width: 100%; }
  tr { border: 1px solid var(--line); border-radius: .4rem; padding: .35rem .75rem; margin-bottom: .75rem; }
  td { min-width: 0; display: grid; grid-template-columns: 8rem 1fr; gap: .5rem; padding: .2rem 0; border: 0; }
  td .label { display: inline; color: var(--faint); }
  td .state { white-space: normal; }
  .compact tr { display: flex; flex-wrap: wrap; gap: 0 .5rem; padding: .25rem .75rem; margin-bottom: .4rem; }
  .compact td { display: block; width: auto; padding: 0; }
  .compact td .label { display: none; }
  .compact td:nth-child(3) { order: 1; flex-basis: 100%; }
  .compact td:nth-child(3) .value { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3;
    overflow: hidden; }
  .facts > div { grid-template-columns: 1fr; }
  .logout { margin-left: 0; }
}
.missing { margin: 0 0 1rem; padding-left: 1.25rem; }
.plain { color: inherit; text-decoration-color: var(--faint); }
.button { display: inline-block; }
.months { display: grid; gap: 1rem 2.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr)); }
.filter > div { min-width: 0; max-width: 100%; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.calendar { table-layout: fixed; max-width: 28rem; }
.calendar th, .calendar td { display: table-cell; width: auto; min-width: 0; padding: .15rem; text-align: center;
  border: 1px solid var(--line); }
.calendar thead { display: table-header-group; position: static; clip-path: none; }
.calendar tbody { display: table-row-group; }
.calendar tr { display: table-row; border: 0; }
.calendar, .calendar caption { display: table; width: 100%; }
.calendar caption { display: table-caption; }
.calendar abbr { text-decoration: none; }
.calendar a { display: block; padding: .15rem 0; }
.calendar b { display: block; font-size: .8em; color: var(--wait); }
.calendar .ending { background: var(--wait-back); }
.calendar [aria-current] { outline: 2px solid var(--link); outline-offset: -2px; }
.ends { padding-left: 1.25rem; }
`;

/** The icon of the page: a key over a shield. */
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">` +
  `<path d="M16 2 4 6v9c0 8 5 12 12 15 7-3 12-7 12-15V6z" fill="#0a58ca"/>` +
  `<circle cx="16" cy="12" r="4" fill="none" stroke="#fff" stroke-width="2.5"/>` +
  `<path d="M16 16v8m0-3h4" fill="none" stroke="#fff" stroke-width="2.5"/></svg>`;

/**
 * The script, in JavaScript for browsers; the page works without it. A server-sent event only reports that something
 * has changed; the page is then fetched again as the user would, and its parts with `data-swap` and an id are replaced.
 * Forms are outside of such parts, so nothing that is being typed is lost. Nothing is replaced while a mouse button is
 * down, because a browser sends a click only to an element that exists from press to release. A hidden tab has no
 * stream, because browsers open at most six connections to a host; it is fetched every minute, for the number in its
 * title.
 */
const SCRIPT = `"use strict";
(() => {
  const PAUSE_MS = 60000;
  let source, isBusy = false, isAgain = false, isPressed = false, isOver = false;

  function report(text) {
    const place = document.getElementById("connection");
    if (place === null || place.textContent === text) return;
    const note = document.createElement("p");
    note.className = "notice fault";
    note.textContent = text;
    place.replaceChildren(...(text === "" ? [] : [note]));
  }

  function swap(old, fresh) {
    if (old.innerHTML === fresh.innerHTML) return;
    const active = old.contains(document.activeElement) ? document.activeElement : undefined;
    const key = active?.id ? "#" + CSS.escape(active.id)
      : active?.getAttribute("href") ? "a[href=" + JSON.stringify(active.getAttribute("href")) + "]" : undefined;
    const open = [...old.querySelectorAll("details[open][id]")].map(({ id }) => id);
    old.replaceChildren(...fresh.childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (key !== undefined) old.querySelector(key)?.focus({ preventScroll: true });
  }

  async function refresh() {
    isAgain = isBusy;
    if (isBusy) return;
    isBusy = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html", "x-refresh": "1" } });
      if (answer.status === 401) return end();
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (isPressed) return isAgain = true;
      const parts = [...document.querySelectorAll("[data-swap][id]")];
      for (const part of parts) {
        const other = fresh.getElementById(part.id);
        // A part with a key contains a form, which is kept while the key stays the same.
        const isSame = part.dataset.key !== undefined && part.dataset.key === other?.dataset.key;
        if (other === null || isSame) continue;
        swap(part, other);
        if (other.dataset.key !== undefined) part.dataset.key = other.dataset.key;
      }
      document.title = fresh.title;
      if (fresh.body.dataset.version !== undefined) document.body.dataset.version = fresh.body.dataset.version;
      report("");
    } catch {
      report("The page cannot reach tlsboot and keeps trying.");
    } finally {
      isBusy = false;
      if (isAgain && !isPressed) refresh();
    }
  }

  function release() {
    isPressed = false;
    if (isAgain) refresh();
  }

  function end() {
    isOver = true;
    source?.close();
    report("The session has ended. Run tlsboot ui and open the link that it prints.");
  }

  function connect() {
    const { live, version } = document.body.dataset;
    if (!live || document.hidden || isOver) return;
    source = new EventSource("/events?" + new URLSearchParams({ live, version }));
    source.addEventListener("changed", refresh);
    source.addEventListener("open", () => report(""));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 5000), refresh();
      else report("The page cannot reach tlsboot and keeps trying.");
    });
  }

  addEventListener("pointerdown", () => isPressed = true);
  addEventListener("pointerup", release);
  addEventListener("pointercancel", release);
  document.addEventListener("visibilitychange", () => {
    source?.close();
    connect();
  });
  setInterval(() => { if (!isOver && document.body.dataset.live) refresh(); }, PAUSE_MS);
  connect();
})();
`;

/** The files of the page. They need no session. */
export const FILES: readonly { readonly path: string; readonly type: string; readonly text: string }[] = [
  { path: "/style.css", type: "text/css; charset=utf-8", text: STYLE },
  { path: "/script.js", type: "text/javascript; charset=utf-8", text: SCRIPT },
  { path: "/icon.svg", type: "image/svg+xml", text: ICON },
];
