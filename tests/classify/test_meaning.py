"""What the shipped classifier says of sentences that stand neither in the taxonomy nor in the training examples."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from classify.taxonomy import load_taxonomy
from ingest.analysis import Analysis

Analyse = Callable[..., Analysis]


def tags(analysis: Analysis) -> dict[str, str]:
    return {tag.tag: tag.sentiment for tag in analysis.tags}


OVERALL = [
    ("装完半个冬天了，全家都夸暖和", "positive"),
    ("卧室这组摸着滚烫，老妈高兴坏了", "positive"),
    ("花了大价钱买回来一堆废铁，气死人", "negative"),
    ("客服推来推去，谁都不肯负责", "negative"),
    ("货放仓库了，开春再装", "neutral"),
    ("请问八十平要买几组", "neutral"),
    ("師傅很細心，裝得非常漂亮", "positive"),
    ("完全不热，差评！！", "negative"),
    ("ＢＵＨＡＯ，质量太差了", "negative"),
]

TAGGED = [
    ("才用两个月焊缝就裂开了", "产品质量/焊缝", "negative"),
    ("丝堵那边一直往下滴水", "产品质量/漏水渗水", "negative"),
    ("通暖好几天了客厅那组还是不热", "产品质量/不热", "negative"),
    ("一开就嗡嗡响，耳朵受不了", "产品质量/异响", "negative"),
    ("边角已经掉漆了", "产品质量/掉漆生锈", "negative"),
    ("尺寸不对，窗台底下塞不进去", "产品质量/尺寸接口", "negative"),
    ("散热量虚标得厉害", "产品质量/规格容量", "negative"),
    ("挂上去真好看，邻居都问链接", "产品质量/外观", "positive"),
    ("用料厚实，拿着就有分量", "产品质量/材质做工", "positive"),
    ("收到的是翻新货，里面还有水锈味", "产品质量/真伪", "negative"),
    ("昨天爆管了，屋里全是水", "产品质量/爆裂安全", "negative"),
    ("安装师傅放鸽子，白请了一天假", "安装服务/延误", "negative"),
    ("工人态度恶劣，进门鞋套都不穿", "安装服务/师傅态度", "negative"),
    ("墙被钻破了一大块，打孔也打歪了", "安装服务/施工不规范", "negative"),
    ("安装费高得离谱，比说好的多要了一百", "安装服务/乱收费", "negative"),
    ("安装费一共付了两百六", "安装服务/安装费用", "neutral"),
    ("师傅来了三趟才装完", "安装服务/二次上门", "negative"),
    ("拆箱就看见一个角摔瘪了", "物流问题/破损", "negative"),
    ("催了好几回，迟迟不发货", "物流问题/延迟", "negative"),
    ("少发了一个堵头", "物流问题/错发漏发", "negative"),
    ("没送上楼，扔在门口就走", "物流问题/配送上楼", "negative"),
    ("送货员骂骂咧咧，态度太差", "物流问题/快递态度", "negative"),
    ("包装很严实，一层套一层", "物流问题/包装", "positive"),
    ("售后电话从早打到晚都没人接", "客服售后/响应慢", "negative"),
    ("客服阴阳怪气地怼人", "客服售后/态度差", "negative"),
    ("商家互相推卸，没一个认账", "客服售后/推诿", "negative"),
    ("纯属虚假宣传，被忽悠了", "客服售后/误导承诺", "negative"),
    ("想退货，店家死活不给退", "客服售后/退换货", "negative"),
    ("修了三次还没修好", "客服售后/维修", "negative"),
    ("开票拖了一个月", "客服售后/发票保修", "negative"),
    ("一组八柱的多少钱呀", "运营价格/价格咨询", "neutral"),
    ("前天买的今天就降价，申请价保被拒", "运营价格/价格争议", "negative"),
    ("优惠券根本用不了，活动就是套路", "运营价格/活动规则", "negative"),
    ("答应的赠品没发", "运营价格/赠品", "negative"),
    ("这价格真实惠", "运营价格/性价比", "positive"),
    ("开上没多久客厅就暖烘烘的，升温快", "使用体验/采暖效果", "positive"),
    ("燃气费比去年翻倍，太费气", "使用体验/能耗", "negative"),
    ("缝里积灰，难打扫", "使用体验/除尘清洁", "negative"),
    ("说明书写得太简单，看不懂", "使用体验/说明书", "negative"),
    ("东西确实不错，值得推荐", "表扬/表扬-产品", "positive"),
    ("给安装师傅点赞，又快又好", "表扬/表扬-安装工", "positive"),
    ("客服秒回，还帮我画了草图", "表扬/表扬-客服", "positive"),
    ("发货神速，隔天就到家门口", "表扬/表扬-物流", "positive"),
    ("建议加个排气提示灯", "建议/产品优化", "neutral"),
    ("建议客服周末也安排人值班", "建议/服务升级", "neutral"),
]


def test_overall_sentiment(analyse: Analyse) -> None:
    """A learned model may miss a sentence; of plain ones it may not miss two."""
    missed = [text for text, label in OVERALL if analyse(text).sentiment.label != label]
    assert len(missed) <= 1, missed


def test_tags_are_found_with_their_sentiment(analyse: Analyse) -> None:
    """One plain sentence for each tag; nine in ten must be understood."""
    assert {tag for _, tag, _ in TAGGED} == {tag.name for tag in load_taxonomy().tags}
    missed = [text for text, tag, sentiment in TAGGED if tags(analyse(text)).get(tag) != sentiment]
    assert len(missed) <= len(TAGGED) // 10, missed


def test_one_text_holds_opposite_opinions_each_on_its_own_words(analyse: Analyse) -> None:
    text = "暖气很热，但安装师傅态度太差"
    found = {tag.tag: tag for tag in analyse(text).tags}
    warm, rude = found["使用体验/采暖效果"], found["安装服务/师傅态度"]
    assert (warm.sentiment, rude.sentiment) == ("positive", "negative")
    assert warm.span is not None
    assert rude.span is not None
    assert "热" in text[slice(*warm.span)]
    assert "态度太差" in text[slice(*rude.span)]
    assert warm.span[1] <= rude.span[0]


def test_span_points_into_the_text_as_written_not_as_folded(analyse: Analyse) -> None:
    text = "㎡大的客厅😀，㊙说真的，暖氣還是漏水了"
    spans = [text[slice(*tag.span)] for tag in analyse(text).tags if tag.span and "漏水渗水" in tag.tag]
    assert spans == ["漏水"]


@pytest.mark.parametrize(
    "text",
    ["试水之后不漏水", "没有出现过漏水", "一年多了从来没漏水", "一点都不漏水，放心"],
)
def test_a_denied_fault_is_no_complaint(analyse: Analyse, text: str) -> None:
    analysis = analyse(text)
    assert "negative" not in tags(analysis).values()
    assert analysis.intent != "complaint"
    assert analysis.severity == 0


@pytest.mark.parametrize("text", ["没用几天就漏水", "不知道为什么漏水了", "还没过冬就漏水", "没想到居然漏水"])
def test_a_negator_of_something_else_denies_nothing(analyse: Analyse, text: str) -> None:
    assert tags(analyse(text))["产品质量/漏水渗水"] == "negative"


@pytest.mark.parametrize("text", ["会不会漏水呢", "就怕漏水", "漏不漏水还不知道", "但愿别漏水"])
def test_a_feared_fault_is_neutral(analyse: Analyse, text: str) -> None:
    assert tags(analyse(text)).get("产品质量/漏水渗水") == "neutral"


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("三天了没人上门，赶紧给我退货", "complaint"),
        ("这样的售后必须曝光，准备打12315", "complaint"),
        ("用着不错，就是安装费贵", "praise"),
        ("不错，就是安装费贵", "praise"),
        ("东西一般，师傅乱收费还把墙打坏，要求赔偿", "complaint"),
        ("我家九十平，选哪款合适呢？", "question"),
        ("质保到底几年啊，请问", "question"),
        ("希望增加定时功能", "suggestion"),
        ("要是颜色再多几种就更好了", "suggestion"),
        ("建议大家别买，谁买谁后悔", "complaint"),
        ("两个卧室都装了，满屋子热乎乎，点赞", "praise"),
        ("还没拆箱，等装好再说", "other"),
        ("凭什么收我两百块远程费？", "complaint"),
    ],
)
def test_intent(analyse: Analyse, text: str, intent: str) -> None:
    assert analyse(text).intent == intent


@pytest.mark.parametrize(
    "text",
    [
        "夜里片子炸裂，满屋子热水",
        "手指碰到外壳被漏电打了一下，麻手",
        "两岁的儿子被烫伤了",
        "控制器起火，墙都熏黑了",
        "差一点煤气中毒，太吓人了",
        "楼上爆管，我家被淹",
    ],
)
def test_danger_that_is_meant_is_flagged_and_grave(analyse: Analyse, text: str) -> None:
    analysis = analyse(text)
    assert "safety" in analysis.flags
    assert analysis.intent == "complaint"
    assert analysis.sentiment.label == "negative"
    assert analysis.severity >= 8.5
    assert "确有其事" in analysis.severity_reason


@pytest.mark.parametrize(
    "text",
    [
        "真怕哪天漏电",
        "这东西不会爆炸吧",
        "会不会烫伤小孩啊",
        "万一爆管怎么办",
        "用了三年没有漏电过",
        "有防烫伤的外罩，放心",
        "这款是店里的爆款",
        "双十一卖得火爆",
        "热水烫得很舒服",
        "客服气得我要爆炸了",
        "这颜值好看炸了",
        "听说有人家爆裂过",
        "接口有点漏水",
    ],
)
def test_danger_that_is_not_meant_is_not_flagged(analyse: Analyse, text: str) -> None:
    assert "safety" not in analyse(text).flags


@pytest.mark.parametrize(
    ("text", "known", "flag"),
    [
        ("", {}, "empty"),
        (" \n\t　", {}, "empty"),
        ("！！！。。。", {}, "empty"),
        ("", {"default_review": True, "rating": 5}, "default_review"),
        ("此用户没有填写评论!", {"rating": 5}, "default_review"),
        ("评价方未及时做出评价,系统默认好评!", {}, "default_review"),
        ("全网最低，加微信拿货，诚招代理", {}, "advertisement"),
        ("五星好评返现，找客服领", {}, "advertisement"),
        ("很好很好很好很好很好很好很好", {}, "template"),
        ("凑字数凑字数，好评", {}, "template"),
        ("质量真好，刚装上就漏水", {}, "sarcasm"),
        ("周末去爬山，风景真美，拍了好多照片", {}, "off_topic"),
        ("新买的显卡散热器风扇好大", {}, "off_topic"),
    ],
)
def test_flags(analyse: Analyse, text: str, known: dict[str, object], flag: str) -> None:
    assert flag in analyse(text, **known).flags


@pytest.mark.parametrize("text", ["说好的返现一分没给，骗人", "东西不错，但是等了很久", "给老人装的，挺暖和"])
def test_an_honest_customer_is_not_flagged(analyse: Analyse, text: str) -> None:
    assert not set(analyse(text, rating=4).flags) - {"unsure"}


def test_a_review_is_on_topic_by_its_place(analyse: Analyse) -> None:
    text = "给岳父家买的，老两口住乡下，这个礼拜刚弄好"
    assert "off_topic" in analyse(text).flags
    assert "off_topic" not in analyse(text, rating=5).flags


def test_silent_texts_are_neutral_whatever_their_stars(analyse: Analyse) -> None:
    for text, known in (("", {}), ("系统默认好评", {"rating": 5}), ("", {"default_review": True, "rating": 1})):
        analysis = analyse(text, **known)
        assert analysis.sentiment.label == "neutral"
        assert (analysis.intent, analysis.tags, analysis.severity) == ("other", (), 0)


def test_stars_lean_a_neutral_text_but_do_not_overrule_a_clear_one(analyse: Analyse) -> None:
    dull = "昨天师傅来过了"
    assert analyse(dull, rating=1).sentiment.negative > analyse(dull).sentiment.negative
    assert analyse(dull, rating=5).sentiment.positive > analyse(dull).sentiment.positive
    assert analyse("非常满意，暖和又好看，强烈推荐", rating=1).sentiment.label == "positive"
    assert analyse("垃圾，漏水没人管，退货还不给退", rating=5).sentiment.label == "negative"


def test_severity_grows_with_what_is_at_stake(analyse: Analyse) -> None:
    slight = analyse("有点掉漆，影响不大")
    plain = analyse("接口漏水了")
    demanding = analyse("接口漏水了，修了三次都没修好，再不处理就打12315曝光")
    loud = analyse("接口漏水了", likes=5000)
    assert slight.severity < plain.severity < loud.severity < demanding.severity
    assert "产品质量/漏水渗水" in plain.severity_reason
    assert "向外投诉" in demanding.severity_reason
    assert "5000 人点赞" in loud.severity_reason
    assert analyse("非常暖和").severity_reason == ""


def test_mild_blame_in_praise_keeps_its_negative_tag(analyse: Analyse) -> None:
    analysis = analyse("不错，就是安装费贵")
    assert tags(analysis)["安装服务/乱收费"] == "negative"
    assert analysis.severity < 4


def test_a_bare_praise_goes_to_the_product(analyse: Analyse) -> None:
    assert tags(analyse("挺好")) == {"表扬/表扬-产品": "positive"}
