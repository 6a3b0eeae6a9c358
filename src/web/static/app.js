// glitchbox: comfort only. Every page reads and triages without it.
(() => {
  "use strict";
  document.documentElement.classList.add("has-js");

  // Exact times in the reader's own time zone.
  for (const time of document.querySelectorAll("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (!Number.isNaN(date.getTime())) {
      time.title = date.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "long" });
    }
  }

  // Copy buttons: <button data-copy="id of the element whose text to copy">.
  const select = (node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    const source = button && document.getElementById(button.dataset.copy);
    if (!source) return;
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = button.dataset.done;
    } catch {
      // No clipboard over plain http: select it, so that one key press copies.
      select(source);
      let done = false;
      try { done = document.execCommand("copy"); } catch { done = false; }
      if (!done) return;
      button.textContent = button.dataset.done;
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  });

  // One open menu at a time; Escape and a click elsewhere close it.
  const closeMenus = (but) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== but) menu.open = false;
  };
  document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));

  // The box in the table's head picks every row.
  const all = document.querySelector("[data-pick-all]");
  all?.addEventListener("change", () => {
    for (const box of document.querySelectorAll("input[name=issue]")) box.checked = all.checked;
  });

  // An alert's webhooks: an address tells its service, and a service shows what its addresses look like.
  for (const hook of document.querySelectorAll(".hook")) {
    const kind = hook.querySelector("select");
    const address = hook.querySelector(".url input");
    if (!kind || !address) continue;
    const showExample = () => { address.placeholder = kind.selectedOptions[0].dataset.example; };
    kind.addEventListener("change", showExample);
    address.addEventListener("input", () => {
      const host = address.value.trim().replace(/^https?:\/\//i, "").split(/[/?#:]/)[0].toLowerCase();
      const isOf = (option) =>
        option.dataset.hosts.split(" ").some((name) => name && (host === name || host.endsWith(`.${name}`)));
      const known = [...kind.options].find(isOf);
      if (known && !known.selected) {
        known.selected = true;
        showExample();
      }
    });
  }

  // A project without events: look again until the first one is there.
  if (document.querySelector("[data-waiting]")) {
    const timer = setInterval(async () => {
      if (document.hidden) return;
      try {
        const page = await (await fetch(location.href)).text();
        if (page.includes("data-waiting")) return;
        clearInterval(timer);
        location.reload();
      } catch { /* the next look may reach it */ }
    }, 4000);
  }

  // Keys: j/k move, o or Enter opens, x picks, e resolves; on an issue page j/k go to the older/newer event.
  const rows = [...document.querySelectorAll(".issues tbody tr")];
  let at = -1;
  const move = (step) => {
    rows[at]?.classList.remove("cursor");
    at = Math.max(0, Math.min(rows.length - 1, at + step));
    rows[at].classList.add("cursor");
    rows[at].scrollIntoView({ block: "nearest" });
    rows[at].querySelector("a.title")?.focus({ preventScroll: true });
  };
  const press = (selector) => document.querySelector(selector)?.click();
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeMenus();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input:not([type=checkbox]), textarea, select")) return;
    const row = rows[at];
    switch (event.key) {
      case "j": rows.length ? move(1) : press("[data-key=j]"); break;
      case "k": rows.length ? move(-1) : press("[data-key=k]"); break;
      case "o": row?.querySelector("a.title")?.click(); break;
      case "x": row?.querySelector("input[name=issue]")?.click(); break;
      case "e":
        if (row && !document.querySelector("input[name=issue]:checked")) row.querySelector("input[name=issue]").checked = true;
        press("[data-key=e]");
        break;
      case "/": {
        const search = document.querySelector("input[type=search]");
        if (!search) return;
        search.focus();
        break;
      }
      default: return;
    }
    event.preventDefault();
  });
})();
