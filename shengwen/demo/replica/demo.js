"use strict";
// Shared by the replica's pages: builds nodes from text only, and makes the token that page-signed calls need.
const Demo = (() => {
  const make = (tag, attrs = {}, ...kids) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attrs)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value);
    }
    for (const kid of kids.flat()) if (kid !== null && kid !== undefined) node.append(kid);
    return node;
  };

  const fnv1a = (text) => {
    let value = 0x811c9dc5;
    for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
    return value.toString(16).padStart(8, "0");
  };
  const token = (path) => {
    const seed = document.body.dataset.seed;
    const stamp = String(Date.now());
    return `${seed}.${stamp}.${fnv1a(`${seed}|${stamp}|${path}`)}`;
  };

  let calls = 0;
  // The old way: a script element with a callback, which also reads GBK.
  const jsonp = (url, name, charset) => new Promise((resolve, reject) => {
    const callback = `${name}${++calls}`;
    const script = make("script", { charset, src: url + (url.includes("?") ? "&" : "?") + "callback=" + callback });
    const close = () => { delete window[callback]; script.remove(); };
    window[callback] = (data) => { close(); resolve(data); };
    script.onerror = () => { close(); reject(new Error("读取失败")); };
    script.onload = () => setTimeout(() => { if (window[callback]) { close(); reject(new Error("没有数据")); } });
    document.head.append(script);
  });

  const json = async (url, options) => {
    const response = await fetch(url, options);
    const text = await response.text();
    try { return JSON.parse(text); } catch { throw new Error(`没有数据（HTTP ${response.status}）`); }
  };

  const when = (moment) => new Date(moment).toLocaleString("zh-CN", { hour12: false });
  const plain = (html) => new DOMParser().parseFromString(html, "text/html").body.textContent;
  const paragraphs = (html) =>
    [...new DOMParser().parseFromString(html, "text/html").body.children].map((p) => make("p", {}, p.textContent));

  // Topics and emoji codes with their platform marks taken off; what is sent keeps them.
  const words = (text) => text.replace(/\[话题\]#/g, "").replace(/\[([\u4e00-\u9fff]{1,4})R\]/g, "[$1]");
  const notice = (box, error) => box.append(make("p", { class: "notice" }, `暂时看不到内容：${error.message || error}`));

  // Calls `load` (which resolves to false at the end) whenever the end of `box` comes near; one call at a time.
  const onScroll = (box, load) => {
    let busy = false, over = false;
    const near = () => box === window
      ? window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 300
      : box.scrollTop + box.clientHeight >= box.scrollHeight - 200;
    const check = async () => {
      if (busy || over || !near()) return;
      busy = true;
      try { over = (await load()) === false; } finally { busy = false; }
      // A page that is not full yet loads on without a scroll.
      setTimeout(check, 50);
    };
    box.addEventListener("scroll", check);
    window.addEventListener("resize", check);
    return check;
  };

  // "筛选" with its panel, which the pointer opens. `groups`: title -> [field, [[words, value], ...]]; `changed` gets
  // field -> value of all that was chosen.
  const filters = (groups, changed) => {
    const chosen = {};
    const panel = make("div", { class: "filter-panel" });
    for (const [title, [field, options]] of Object.entries(groups)) {
      const tags = options.map(([words, value]) => make("button", { onclick: () => { chosen[field] = value; changed(chosen); } }, words));
      panel.append(make("div", { class: "filter-group" }, make("span", { class: "soft" }, title), ...tags));
    }
    return make("div", { class: "filter" }, make("span", {}, "筛选"), panel);
  };

  return { make, token, jsonp, json, when, plain, words, paragraphs, notice, onScroll, filters };
})();
