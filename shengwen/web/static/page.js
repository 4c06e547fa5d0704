// What the pages do by themselves: tell of new first-level alerts, of a lost connection, of a request that failed.
"use strict";
(() => {
  const title = document.title;
  const keys = () => {
    const status = document.getElementById("status");
    return status ? status.dataset.urgent.split(" ").filter(Boolean) : [];
  };
  let known = new Set(keys());

  const showCount = () => {
    const count = keys().length;
    document.title = count ? `(${count}) ${title}` : title;
  };

  const toast = (link) => {
    const box = document.getElementById("toast");
    if (!box || !link) return;
    const note = document.createElement("a");
    note.href = link.getAttribute("href");
    const head = document.createElement("b");
    head.textContent = "新的一级预警";
    note.append(head, link.querySelector(".what").textContent);
    box.append(note);
    setTimeout(() => note.remove(), 30000);
  };

  const say = (text) => {
    const box = document.getElementById("toast");
    if (!box) return;
    const note = document.createElement("a");
    note.href = location.href;
    note.textContent = text;
    box.replaceChildren(note);
    setTimeout(() => note.remove(), 8000);
  };

  const offline = (is) => {
    const bar = document.getElementById("offline");
    if (bar) bar.hidden = !is;
  };

  document.addEventListener("htmx:afterSettle", () => {
    const now = keys();
    for (const key of now) {
      if (!known.has(key)) toast(document.querySelector(`#status a[data-alert="${CSS.escape(key)}"]`));
    }
    known = new Set(now);
    showCount();
  });
  document.addEventListener("htmx:sendError", () => offline(true));
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.xhr && event.detail.xhr.status > 0) offline(false);
  });
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.pathInfo.requestPath.startsWith("/fragments/status")) return;
    say("没有成功，点这里刷新页面再试。");
  });

  if (matchMedia("(max-width: 760px)").matches) {
    for (const details of document.querySelectorAll("[data-close-on-phone]")) details.open = false;
  }
  document.addEventListener("click", (event) => {
    for (const help of document.querySelectorAll("details.help[open]")) {
      if (!help.contains(event.target)) help.open = false;
    }
  });
  document.addEventListener("click", (event) => {
    const place = event.target.closest("[data-cancel]")?.closest(".fix-place");
    if (!place) return;
    event.preventDefault();
    place.replaceChildren();
    place.closest("article").querySelector("a.fix").focus();
  });
  document.addEventListener("change", (event) => {
    const row = event.target.closest(".fix-tags .add");
    if (!row || event.target.name !== "add" || !event.target.value || row.nextElementSibling) return;
    const another = row.cloneNode(true);
    another.querySelector("[name=add]").value = "";
    row.after(another);
  });
  document.addEventListener("keydown", (event) => {
    const box = document.getElementById("q");
    if (event.key === "Escape") for (const help of document.querySelectorAll("details.help[open]")) help.open = false;
    if (event.key !== "/" || !box || event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) return;
    event.preventDefault();
    box.focus();
  });
  showCount();
})();
