/**
 * The script of the page: while a page is open, it replaces the parts that have changed. The page works without it. It
 * is served as a file, because the page allows no inline script.
 */

/**
 * The script, in JavaScript for browsers. A server-sent event only reports that something has changed; the page is then
 * fetched again as the user would, and its parts with `data-swap` and an id are replaced. Forms are outside of such
 * parts, so nothing that is being typed is lost. Nothing is replaced while a button of the mouse is down, because a
 * browser sends a click only to an element that is there from the press to the release. A hidden tab has no stream,
 * because browsers open six connections to a host and no more; it is fetched every minute, for the number in its title.
 */
export const SCRIPT = `"use strict";
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
        // A part with a key holds a form, which is kept while the key stays the same.
        const isSame = part.dataset.key !== undefined && part.dataset.key === other?.dataset.key;
        if (other === null || isSame) continue;
        swap(part, other);
        if (other.dataset.key !== undefined) part.dataset.key = other.dataset.key;
      }
      document.title = fresh.title;
      if (fresh.body.dataset.version !== undefined) document.body.dataset.version = fresh.body.dataset.version;
      report("");
    } catch {
      report("The page cannot reach tlsboot. It tries again.");
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
    report("This page has ended. Open the link that tlsboot ui prints.");
  }

  function connect() {
    const { live, version } = document.body.dataset;
    if (!live || document.hidden || isOver) return;
    source = new EventSource("/events?" + new URLSearchParams({ live, version }));
    source.addEventListener("changed", refresh);
    source.addEventListener("open", () => report(""));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 5000), refresh();
      else report("The page cannot reach tlsboot. It tries again.");
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
