"use strict";
// Comments below an answer or an article: opened by a button, root comments page by page, replies by their own button.
const Zhihu = (() => {
  const { make, notice, plain } = Demo, api = "/zhihu/api/v4/comment_v5";
  const line = (c) => make("div", {},
    make("div", { class: "soft" }, c.author.name, c.is_author ? "（作者）" : "", ` · ${Demo.when(c.created_time * 1000)} ${c.comment_tag.map((t) => t.text).join(" ")} · 赞 ${c.like_count}`),
    make("div", {}, plain(c.content)));
  const pages = (box, url, draw, label) => {
    let next = url;
    const button = make("button", { class: "show-more", onclick: async () => {
      button.disabled = true;
      try {
        const data = await Demo.json(next);
        if (!data.data) throw new Error(data.error ? data.error.message : "需要验证");
        data.data.forEach((c) => box.append(draw(c)));
        if (data.paging.is_end) button.remove(); else { next = data.paging.next; button.textContent = "更多"; button.disabled = false; }
      } catch (error) { notice(box, error); button.remove(); }
    } }, label);
    return button;
  };
  const thread = (c) => {
    const subs = make("div", { class: "sub" }, c.child_comments.map(line));
    const rest = c.child_comment_next_offset;
    return make("div", { class: "card" }, line(c), subs,
      rest ? pages(subs, `${api}/comment/${c.id}/child_comment?order_by=ts&limit=10&offset=${encodeURIComponent(rest)}`, line, `展开其他 ${c.child_comment_count - c.child_comments.length} 条回复`) : null);
  };
  const comments = (resource, id, count) => {
    const box = make("div", {});
    if (!count) return make("p", { class: "soft" }, "还没有评论");
    return make("div", {}, pages(box, `${api}/${resource}/${id}/root_comment?order_by=score&limit=10&offset=`, thread, `${count} 条评论`), box);
  };
  return { comments };
})();
