// Draws the histogram of days and the timeline on canvas. Texts from outside are only ever canvas text: tooltips are
// rich text, not HTML. Values come from data attributes, addresses are the server's own and start with "/".
"use strict";
(() => {
  if (!window.echarts) return;
  const SENTIMENTS = {
    negative: { name: "负面", color: "#cf4a41" },
    neutral: { name: "中性", color: "#a3aebb" },
    positive: { name: "正面", color: "#4a9e6c" },
  };
  // No red among the sources: red is for alerts.
  const SOURCES = { jd: "#3d6ea8", tmall: "#e0a03c", xiaohongshu: "#c77ba6", douyin: "#44415a", zhihu: "#74b0c4" };
  const OTHERS = ["#8a94a0", "#6b9e9a", "#a98bc0", "#b7a36b"];
  const LEVELS = { 一级: "#b3261e", 二级: "#b8650a", 三级: "#566273" };
  const FONT = getComputedStyle(document.body).fontFamily;
  const narrow = matchMedia("(max-width: 760px)").matches;

  const go = (url) => {
    if (url && url.startsWith("/") && !url.startsWith("//")) location.href = url;
  };

  const tooltip = {
    trigger: "axis",
    renderMode: "richText",
    axisPointer: { type: "shadow" },
    confine: true,
    textStyle: { fontFamily: FONT, fontSize: 13 },
  };
  const axis = { axisLine: { lineStyle: { color: "#c9d0d9" } }, axisTick: { show: false }, axisLabel: { color: "#566273", hideOverlap: true } };
  const values = { type: "value", minInterval: 1, axisLabel: { color: "#566273" }, splitLine: { lineStyle: { color: "#eceff3" } } };

  const shared = (grid) => ({
    animation: false,
    textStyle: { fontFamily: FONT },
    grid: { left: narrow ? 18 : 8, right: 12, containLabel: true, ...grid },
    tooltip,
  });

  // A click anywhere in a column counts: bars of one mention are too small for a thumb.
  const onColumn = (chart, open) => {
    let taken = false;
    chart.on("click", (event) => {
      if (event.componentType === "markLine" && event.data.url) {
        taken = true;
        go(event.data.url);
      }
    });
    chart.getZr().on("click", (event) => {
      const point = [event.offsetX, event.offsetY];
      if (!taken && chart.containPixel("grid", point)) open(chart.convertFromPixel({ seriesIndex: 0 }, point)[0]);
      taken = false;
    });
    chart.getZr().on("mousemove", (event) => {
      chart.getZr().setCursorStyle(chart.containPixel("grid", [event.offsetX, event.offsetY]) ? "pointer" : "default");
    });
  };

  const days = (box) => {
    const bars = JSON.parse(box.dataset.values);
    const chart = echarts.init(box);
    chart.setOption({
      ...shared({ top: 28, bottom: 4 }),
      legend: { top: 0, right: 8, itemWidth: 10, itemHeight: 10, textStyle: { color: "#566273" } },
      xAxis: { type: "category", data: bars.map((bar) => bar.first.slice(5)), ...axis },
      yAxis: { ...values, splitNumber: 3 },
      series: Object.entries(SENTIMENTS).map(([key, { name, color }]) => ({
        name, type: "bar", stack: "all", color, barMaxWidth: 26, data: bars.map((bar) => bar[key]),
      })),
    });
    onColumn(chart, (at) => {
      const bar = bars[at];
      if (bar) go(box.dataset.url.replaceAll("__FIRST__", bar.first).replaceAll("__LAST__", bar.last));
    });
    return chart;
  };

  const timeline = (box) => {
    const data = JSON.parse(box.dataset.values);
    const chart = echarts.init(box);
    let other = 0;
    const series = data.series.map((one) => ({
      name: one.name, type: "bar", stack: "all", barMaxWidth: 26, barCategoryGap: "15%",
      color: SOURCES[one.source] || OTHERS[other++ % OTHERS.length], data: one.counts,
    }));
    if (!series.length) series.push({ name: "负面", type: "bar", data: data.starts.map(() => 0) });
    series[0].markLine = {
      symbol: ["none", "none"],
      data: data.alerts.map((one) => ({
        xAxis: one.at, url: one.url, name: one.title,
        lineStyle: { color: LEVELS[one.level] || LEVELS["三级"], width: one.level === "一级" ? 2.5 : 1.5, type: one.level === "一级" ? "solid" : "dashed" },
        label: {
          show: one.level === "一级" || !narrow, formatter: () => one.level, position: "end", color: "#fff", backgroundColor: LEVELS[one.level] || LEVELS["三级"],
          padding: [2, 5], borderRadius: 3, fontSize: 11,
        },
      })),
      tooltip: { trigger: "item", formatter: (item) => item.name },
      emphasis: { lineStyle: { width: 4 } },
    };
    chart.setOption({
      ...shared({ top: 44, bottom: 36 }),
      legend: { bottom: 0, left: "center", itemWidth: 10, itemHeight: 10, type: "scroll", textStyle: { color: "#566273" } },
      xAxis: { type: "category", data: data.starts.map((start) => (data.hourly ? start.slice(5) : start.slice(5, 10))), ...axis },
      yAxis: { ...values, splitNumber: narrow ? 4 : 5 },
      series,
    });
    onColumn(chart, (at) => go(data.urls[at]));
    return chart;
  };

  const kinds = { days, timeline };
  for (const box of document.querySelectorAll(".chart[data-chart]")) {
    box.append(document.createElement("span")); // .chart:empty is hidden, and a hidden box has no size
    const chart = kinds[box.dataset.chart](box);
    new ResizeObserver(() => chart.resize()).observe(box);
  }
})();
