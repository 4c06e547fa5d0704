"""Privacy: what is masked, what is not, and what a sealed mention never holds. All persons and numbers are made up."""

from __future__ import annotations

import os
import stat
import threading
import time
import traceback
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.errors import ConfigError, Poison
from ingest.mention import MAX_TEXT, Append, Matched, Media, Product, mention_from_json
from ingest.privacy import SECRET_BYTES, Privacy, load_secret, mask
from tests.factories import CAPTURED, a_draft, a_raw
from tests.ingest.secret_worker import load_at_once
from tests.processes import Nursery

# -- masks -----------------------------------------------------------------------------------------------------------

MASKED = [
    # phones: plain, with separators, with the country's number, full-width, Chinese and circled digits, spread out
    ("打我电话13812345678谢谢", "打我电话[电话]谢谢"),
    ("13812345678", "[电话]"),
    ("138 1234 5678", "[电话]"),
    ("138-1234-5678", "[电话]"),
    ("138.1234.5678", "[电话]"),
    ("138 123 456 78", "[电话]"),
    ("+8613812345678", "[电话]"),
    ("+86 138-1234-5678", "[电话]"),
    ("86-13812345678", "[电话]"),
    ("1 3 8 1 2 3 4 5 6 7 8", "[电话]"),
    ("1-3-8-1-2-3-4-5-6-7-8", "[电话]"),
    ("１３８１２３４５６７８", "[电话]"),
    ("１３８－１２３４－５６７８", "[电话]"),
    ("一三八一二三四五六七八", "[电话]"),
    ("幺三八一二三四五六七八", "[电话]"),
    ("一三八 一二三四 五六七八", "[电话]"),
    ("138一二三四5678", "[电话]"),
    ("①③⑧①②③④⑤⑥⑦⑧", "[电话]"),
    ("壹叁捌壹贰叁肆伍陆柒捌", "[电话]"),
    ("手机：19912345678，微信同号", "手机：[电话]，微信同号"),
    ("13812345678或13912345678", "[电话]或[电话]"),
    ("13812345678/13912345678", "[电话]/[电话]"),
    ("座机0571-88881234", "座机[电话]"),
    ("座机 010 8888 1234", "座机 [电话]"),
    ("(010)88881234", "[电话]"),
    ("02088881234", "[电话]"),
    # identity, bank and order numbers
    ("身份证110101199003077758", "身份证[证件号]"),
    ("11010119900307775X", "[证件号]"),
    ("11010119900307775x。", "[证件号]。"),
    ("110101 19900307 7758", "[证件号]"),
    ("卡号6222021234567890123", "卡号[号码]"),
    ("6222 0212 3456 7890 123", "[号码]"),
    ("6222-0212-3456-7890", "[号码]"),
    ("订单号：298765432101", "[订单号]"),
    ("订单编号 2987654321012345678", "[订单号]"),
    ("订单298765432101一直没发货", "[订单号]一直没发货"),
    ("快递单号SF1234567890123", "[订单号]"),
    ("运单号是YT1234567890123到哪了", "[订单号]到哪了"),
    ("我的单号 #123456789", "我的[订单号]"),
    # plates
    ("车牌京A12345挡路", "车牌[车牌]挡路"),
    ("浙A·D1234挡路", "[车牌]挡路"),
    ("粤BD12345", "[车牌]"),
    ("沪A D1234", "[车牌]"),
    ("京a12345", "[车牌]"),
    # mail and chat
    ("发到zhang.san+1@example.com吧", "发到[邮箱]吧"),
    ("a_b@mail.example.com.cn", "[邮箱]"),
    ("ｚｈａｎｇ＠ｅｘａｍｐｌｅ．ｃｏｍ", "[邮箱]"),
    ("加微信zhangsan_88聊", "加[账号]聊"),
    ("加微信：zhangsan88", "加[账号]"),
    ("微信号是 zhangsan-88", "[账号]"),
    ("加微信ab12345我家漏水了没人管", "加[账号]我家漏水了没人管"),
    ("vx:zhangsan", "[账号]"),
    ("加wx abcdefg", "加[账号]"),
    ("V信：abcdefg", "[账号]"),
    ("v: zhangsan88", "[账号]"),
    ("ＶＸ：ｚｈａｎｇ８８", "[账号]"),
    ("QQ123456789", "[账号]"),
    ("qq号 123456789", "[账号]"),
    ("扣扣：123456", "[账号]"),
    # people called by name
    ("@张三 你家也漏吗", "@[用户] 你家也漏吗"),
    ("回复@小红薯5F2A：不热", "回复@[用户]：不热"),
    ("＠李四，看这里", "@[用户]，看这里"),
    ("@a@b", "@[用户]@[用户]"),
    # addresses
    ("住在北京市朝阳区建国路88号3号楼2单元501室", "住在[地址]"),
    ("浙江省杭州市西湖区文三路100号", "[地址]"),
    ("送到阳光花园3栋2单元501", "送到[地址]"),
    ("我在幸福小区12号楼1单元1203室，没人来", "我在[地址]，没人来"),
    ("3号楼2单元502", "[地址]"),
    ("收货地址：上海市浦东新区世纪大道1号", "[地址]"),
    ("安装地址是杭州余杭良渚街道某某村", "[地址]"),
    ("我在12号楼1203室", "我在[地址]"),
    ("三号楼二单元五零二", "[地址]"),
    ("中山路一百号", "[地址]"),
    # together
    ("张先生13812345678，杭州市西湖区文三路100号，订单号298765432101", "张先生[电话]，[地址]，[订单号]"),
]

KEPT = [
    "型号K20-3，片数12，全新K20-3很好",
    "铜铝复合 TLF-8/60 和 GZ2-1.2/6-1.0",
    "全新C20380，蒙D60-1800，新款",
    "价格1299.00元，满3000减300",
    "2024年11月11日下单，2024-11-15送到，20241120装好",
    "2024.01.15 12:30:45",
    "进水70℃，回水55-60度，室温18~22度",
    "尺寸600*1800，中心距600mm，厚度75",
    "600×1800×70，800*1500",
    "客服400-820-8820和4008208820，95533",
    "1号师傅很好，2号师傅不行",
    "1楼不热，3楼热",
    "用了3年5个月又12天",
    "一三五单位上班，二四六休息",
    "第一百二十三次投诉",
    "一二三四五六七八九十",
    "一共一千二百三十四元五角六分",
    "12315投诉，拨打110、119、96118",
    "10月1日到10月7日",
    "功率1500W，电压220V，3.14159265358979",
    "邮编310000",
    "100%铜，99.9%",
    "微信支付方便，微信小程序里下单",
    "微信2000多人的群",
    "微信上问了客服，QQ群里也说漏水",
    "订单3天没发货，订单有问题",
    "安装地址是不是可以改时间",
    "安装地址为什么要我自己填",
    "收货地址是错的",
    "京东A12楼",
    "这条路不好走",
    "暖气片3@99元",
    "水电路改造2层",
    "分水器3路5路都行",
    "进回水管道两路1层不热",
    "好评！！！！！！",
    "",
    "没有任何数字的一句话",
    "1800 x 600",
    "v5版本，V8发动机",
]


@pytest.mark.parametrize(("text", "masked"), MASKED)
def test_personal_data_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize("text", KEPT)
def test_what_customers_talk_about_is_kept(text: str) -> None:
    assert mask(text) == text


FRAGMENTS = (
    *"138@＠:： -.,，()[]aZ一三八零路号楼区京A新·室户①１ａ\n#+x",
    *(
        "13812345678",
        "0571",
        "88881234",
        "110101",
        "19900307",
        "775X",
        "6222 ",
        "订单",
        "单号",
        "微信",
        "vx",
        "QQ",
        "加v",
    ),
    *(
        "小区",
        "单元",
        "收货地址",
        "是",
        "[电话]",
        "[用户]",
        "@[用户]",
        "example",
        ".com",
        "aaaaaaaaaaaaaaaaaaaa",
        "省",
        "市",
    ),
)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join) | st.text(max_size=60))
@example("@a@b@c")
@example("订单号" + "1" * 24 + "13812345678")
@example("@" + "a" * 20 + "9" * 10 + "13812345678")
@example("收货地址：(@a)")
@example("微信" + "a" * 20 + "13812345678")
def test_masking_twice_is_masking_once(text: str) -> None:
    once = mask(text)
    assert mask(once) == once


@given(
    st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join),
    st.integers(3, 9).flatmap(lambda n: st.integers(0, 10**8 - 1).map(lambda m: f"1{n}5{m:08d}")),
    st.sampled_from([" ", "，", "：", "的", "\n", "电话", "!"]),
)
def test_a_phone_number_never_survives(before: str, phone: str, border: str) -> None:
    assert phone not in mask(f"{before}{border}{phone}{border}后面")


HOSTILE = (
    *("市", "a", "1", " ", "@", "@a", "a@", "微信微", "路1", "小区1", "收货地址是 ", "a@b.", "省市区", "1-", "1 3 "),
    *(
        "13812345678 ",
        "1栋1单元",
        "京A1",
        "6222 ",
        "(010",
        "v :",
        "街街街1",
        "收货地址：(",
        "阿市",
        "@1381234567",
        "一",
    ),
)


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_text_takes_no_time(unit: str) -> None:
    text = (unit * MAX_TEXT)[: MAX_TEXT // 2]
    started = time.process_time()
    mask(f"微信 {text}订单号 {text}")
    assert time.process_time() - started < 5.0


# -- sealing ---------------------------------------------------------------------------------------------------------


def test_nothing_of_who_wrote_it_is_in_the_record(privacy: Privacy) -> None:
    draft = a_draft(
        author_id="暖冬小太阳-13800001111",
        title="@暖冬小太阳 13812345678",
        text="微信：zhangsan88，手机138 1234 5678",
        appends=[Append(text="补充：座机0571-88881234", created_at=CAPTURED)],
        seller_reply="亲，订单298765432101已处理，@暖冬小太阳",
        lead={"token": "SECRETTOKEN"},
    )
    mention = privacy.seal(draft, a_raw())
    line = mention.to_json().decode()
    for private in (
        "暖冬",
        "13800001111",
        "1234 5678",
        "zhangsan",
        "88881234",
        "298765432101",
        "SECRETTOKEN",
        "author_id",
    ):
        assert private not in line
    assert mention.author.key == privacy.author_key("jd", "暖冬小太阳-13800001111")
    assert mention.text == "[账号]，手机[电话]"
    assert mention.title == "@[用户] [电话]"
    assert mention.appends[0].text == "补充：座机[电话]"
    assert mention.seller_reply == "亲，[订单号]已处理，@[用户]"


def test_of_a_place_the_province_and_of_a_products_words_no_person(privacy: Privacy) -> None:
    where = "广东省深圳市南山区科技路12号3栋502室 13812345678"
    draft = a_draft(
        region=where,
        url="https://a:b@shop.example/item?id=652000000001&phone=13812345678&token=SECRET",
        product=Product(id="100012043978", name="取暖器 13812345678", spec=f"白色；收货地址：{where}"),
    )
    mention = privacy.seal(draft, a_raw())
    assert mention.region == "广东"
    assert mention.url == "https://shop.example/item?id=652000000001"
    assert mention.product == Product(
        id="100012043978", name="取暖器 [电话]", spec=mention.product and mention.product.spec
    )
    line = mention.to_json().decode()
    for private in ("深圳", "科技路", "502", "13812345678", "SECRET", "a:b"):
        assert private not in line
    assert privacy.seal(a_draft(region="x" * 50 + "广东"), a_raw()).region is None


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://item.jd.com/100012043978.html", "https://item.jd.com/100012043978.html"),
        ("https://detail.tmall.com/item.htm?id=652000000001&skuId=1", "https://detail.tmall.com/item.htm?id=652000000001&skuId=1"),
        (
            "https://www.xiaohongshu.com/explore/66aa?xsec_token=AB1=&xsec_source=pc_search",
            "https://www.xiaohongshu.com/explore/66aa?xsec_source=pc_search",
        ),
        ("https://www.zhihu.com/question/1/answer/2#comment-3", "https://www.zhihu.com/question/1/answer/2#comment-3"),
        ("https://a.example/#/cb?access_token=x", "https://a.example/"),
        ("https://a.example/x?q=%E7%83%AD&who=%31%33812345678&b", "https://a.example/x?q=%E7%83%AD&b"),
        ("https://a.example/x?m=zhang%40mail.example&a_bogus=1&sign=2&uid=3&sid=4&openid=5&nickName=6", "https://a.example/x"),
        ("https://detail.tmall.com/item.htm?id=18912345678", "https://detail.tmall.com/item.htm?id=18912345678"),
        ("https://www.zhihu.com/question/1/answer/13812345678", "https://www.zhihu.com/question/1/answer/13812345678"),
        ("https://a.example/order/13812345678", None),
        ("https://a.example/u/zhang%40mail.example", None),
        ("http://a.example:8080/x", "http://a.example:8080/x"),
        ("https://a.example:port/x", None),
        ("javascript:alert(1)", None),
        ("data:text/html,<script>", None),
        ("https://", None),
        ("https://a b.example/", None),
        ("https://a.example/\nSet-Cookie: x", None),
        ("//a.example/x", None),
        ("https://a.example/" + "x" * 3000, None),
        ("", None),
    ],
)  # fmt: skip
def test_an_address_is_kept_without_person_and_key(privacy: Privacy, url: str, kept: str | None) -> None:
    assert privacy.seal(a_draft(url=url), a_raw()).url == kept


def test_author_keys_are_stable_and_differ_by_source_person_and_secret(privacy: Privacy) -> None:
    other = Privacy(b"x" * SECRET_BYTES)
    keys = [
        privacy.author_key("jd", "u1"),
        privacy.author_key("jd", "u2"),
        privacy.author_key("tmall", "u1"),
        privacy.author_key("tmall\0u", "1"),
        other.author_key("jd", "u1"),
        privacy.author_key("jd", "\ud800"),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 24 and set(key) <= set("0123456789abcdef") for key in keys)
    assert keys[0] == Privacy(bytes(range(SECRET_BYTES))).author_key("jd", "u1")
    assert keys[0] == "65d06d22ce81a690138b696d", "a change of this loses every author ever stored"


def test_a_sealed_draft_keeps_what_was_read(privacy: Privacy) -> None:
    draft = a_draft(
        source="xiaohongshu",
        kind="comment",
        native_id=9007199254740993,
        parent_native="post:66aa",
        rating=None,
        url="https://www.example.com/a",
        product=Product(id="100012043978", sku=100012043979, name="K20-3"),
        region="浙江",
        likes=15000,
        approximate=True,
        media=[Media(type="image", url="https://img.example.com/1.jpg")],
        is_brand=True,
        by_poster=True,
    )
    mention = privacy.seal(draft, a_raw(sha256="ab", url="u"), Matched(words=("暖气片",), query="q"))
    assert mention.id == "xiaohongshu:comment:9007199254740993"
    assert mention.parent_id == "xiaohongshu:post:66aa"
    assert mention.author.model_dump() == {"key": None, "is_seller": False, "is_brand": True, "by_poster": True}
    assert mention.product == Product(id="100012043978", sku="100012043979", name="K20-3")
    assert (mention.likes, mention.approximate, mention.region) == (15000, True, "浙江")
    assert mention.matched == Matched(words=("暖气片",), query="q")
    assert mention_from_json(mention.to_json()) == mention


def test_a_record_without_a_time_is_dated_by_its_capture_and_no_news_unless_known_to_be(privacy: Privacy) -> None:
    mention = privacy.seal(a_draft(created_at=None), a_raw())
    assert (mention.created_at, mention.created_precision) == (CAPTURED, "month")
    mention = privacy.seal(a_draft(created_at=None), a_raw(), undated="day")
    assert (mention.created_at, mention.created_precision) == (CAPTURED, "day")
    mention = privacy.seal(a_draft(created_precision="minute"), a_raw(), undated="day")
    assert mention.created_precision == "minute"


def test_purchase_and_edit_are_kept_and_records_from_before_are_read_without(privacy: Privacy) -> None:
    bought, edited = CAPTURED - timedelta(days=9), CAPTURED - timedelta(days=1)
    mention = privacy.seal(a_draft(purchased_at=bought, edited_at=edited), a_raw())
    assert (mention.purchased_at, mention.edited_at) == (bought, edited)
    assert mention_from_json(mention.to_json()) == mention
    older = orjson.loads(mention.to_json())
    del older["purchased_at"], older["edited_at"]
    before = mention_from_json(orjson.dumps(older))
    assert (before.purchased_at, before.edited_at) == (None, None)
    assert before.revision == mention.revision  # dates are no content: no revision is made of them


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("id", {"native_id": None}),
    ("id", {"native_id": ""}),
    ("id", {"native_id": 6.9e18}),
    ("id", {"native_id": float("nan")}),
    ("id", {"native_id": True}),
    ("id", {"native_id": ["1"]}),
    ("id", {"native_id": {"id": 1}}),
    ("id", {"native_id": "1" * 400}),
    ("source", {"source": "weibo"}),
    ("source", {"source": "import:"}),
    ("kind", {"kind": "rumour"}),
    ("text", {"text": "漏" * (MAX_TEXT + 1)}),
    ("text", {"text": "x" * 5_000_000}),
    ("text", {"text": b"bytes"}),
    ("text", {"text": 12}),
    ("text", {"text": None}),
    ("title", {"title": ["a"]}),
    ("seller_reply", {"seller_reply": "x" * (MAX_TEXT + 1)}),
    ("text", {"text": "@a " * (MAX_TEXT // 3)}),  # grows when it is masked
    ("rating", {"rating": 6}),
    ("rating", {"rating": 0}),
    ("rating", {"rating": 10**30}),
    ("rating_scale", {"rating_scale": "10"}),
    ("likes", {"likes": -1}),
    ("likes", {"likes": 10**30}),
    ("views", {"views": "many"}),
    ("created_at", {"created_at": CAPTURED + timedelta(days=30)}),
    ("created_at", {"created_at": datetime(2026, 1, 1)}),  # noqa: DTZ001
    ("created_at", {"created_at": datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-8)))}),
    ("created_at", {"created_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=8)))}),
    ("created_precision", {"created_precision": "year"}),
    ("url", {"url": 7}),
    ("empty_text", {"empty_text": True, "text": "有字"}),
    ("is_seller", {"is_seller": "maybe"}),
]


@pytest.mark.parametrize(("field", "wrong"), WRONG, ids=range(len(WRONG)))
def test_what_does_not_fit_is_poison_that_names_its_field(privacy: Privacy, field: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(Poison) as caught:
        privacy.seal(a_draft(**wrong), a_raw())
    assert caught.value.field == field
    assert len(str(caught.value)) < 300


def test_the_complaint_does_not_quote_the_text(privacy: Privacy) -> None:
    private = "".join(["暖冬", "小太阳"])  # in two parts: a trace quotes this very line
    for wrong in ({"region": [private]}, {"empty_text": True}, {"is_seller": private}, {"native_id": [private]}):
        with pytest.raises(Poison) as caught:
            privacy.seal(a_draft(**({"text": private} | wrong)), a_raw())
        assert private not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("bad", ["\0", "\ud800", "\udfff\ud800"])
def test_what_no_store_can_hold_is_replaced(privacy: Privacy, bad: str) -> None:
    draft = a_draft(
        native_id=f"n{bad}",
        title=f"t{bad}",
        text=f"漏水{bad}了",
        region=f"浙{bad}江",
        url=f"https://e{bad}",
        seller_reply=f"s{bad}",
        product=Product(id=f"p{bad}", name=f"n{bad}"),
        appends=[Append(text=f"a{bad}")],
        media=[Media(type="image", url=f"u{bad}")],
        author_id=f"who{bad}",
        parent_native=f"post:{bad}",
    )
    mention = privacy.seal(draft, a_raw(url=f"r{bad}"), Matched(words=(f"w{bad}",), query=f"q{bad}"))
    line = mention.to_json().decode("utf-8")
    assert bad not in line
    assert "\\u0000" not in line
    assert mention.text == "漏水" + "\ufffd" * len(bad) + "了"
    assert mention_from_json(mention.to_json()) == mention


@given(st.text(max_size=200), st.text(max_size=30), st.text(min_size=1, max_size=20))
def test_any_text_is_sealed_and_comes_back(text: str, title: str, native: str) -> None:
    mention = Privacy(bytes(SECRET_BYTES)).seal(a_draft(text=text, title=title, native_id=native), a_raw())
    assert mention_from_json(mention.to_json()) == mention


# -- locking and the secret --------------------------------------------------------------------------------------------


def test_a_locked_payload_opens_with_the_same_secret_only(privacy: Privacy) -> None:
    payload = "暖冬小太阳 13812345678".encode() + bytes(range(256))
    token = privacy.lock(payload)
    assert payload not in token
    assert "暖冬".encode() not in token
    assert Privacy(bytes(range(SECRET_BYTES))).unlock(token) == payload
    other = b"B" if token[20:21] == b"A" else b"A"
    for damaged in (token[:-1], b"", b"\xff" * 40, token[:20] + other + token[21:], payload):
        with pytest.raises(Poison, match="payload"):
            privacy.unlock(damaged)
    with pytest.raises(Poison):
        Privacy(b"y" * SECRET_BYTES).unlock(token)


def test_the_secret_is_never_shown(privacy: Privacy) -> None:
    assert repr(privacy) == str(privacy) == "Privacy(secret=…)"
    with pytest.raises(ConfigError) as caught:
        Privacy(b"hunter2")
    assert "hunter2" not in str(caught.value)


def test_the_secret_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "home" / "secret.key"
    before = os.umask(0)
    try:
        secret = load_secret(path)
    finally:
        os.umask(before)
    assert len(secret) == SECRET_BYTES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_secret(path) == secret
    assert [file.name for file in path.parent.iterdir()] == ["secret.key"]


def test_processes_that_start_at_once_agree_on_one_secret(nursery: Nursery, tmp_path: Path) -> None:
    for round_number in range(5):
        path = tmp_path / f"home-{round_number}" / "secret.key"
        answers = [tmp_path / f"answer-{round_number}-{n}" for n in range(8)]
        start = time.time() + 0.1
        children = [nursery.start(load_at_once, str(path), start, str(answer)) for answer in answers]
        assert [child.wait() for child in children] == [0] * 8
        assert {answer.read_text("ascii") for answer in answers} == {path.read_bytes().hex()}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [file.name for file in path.parent.iterdir()] == ["secret.key"]


def test_threads_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    for round_number in range(20):
        path = tmp_path / str(round_number) / "secret.key"
        start = threading.Barrier(8)
        found: list[bytes] = []

        def load(path: Path = path, start: threading.Barrier = start, found: list[bytes] = found) -> None:
            start.wait()
            found.append(load_secret(path))

        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(found), set(found)) == (8, {path.read_bytes()})


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_damaged_secret_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret.key"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"secret\.key"):
        load_secret(path)
    assert path.read_bytes() == content


def test_a_secret_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="secret"):
        load_secret(tmp_path / "file" / "secret")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="folder"):
        load_secret(tmp_path / "folder")
