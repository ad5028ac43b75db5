"use strict";

// ---------------------------------------------------------------------------------------------
// Charts: with uPlot where the build could fetch it, else as still SVG.

const strokes = {
  line: { stroke: "#14507d", width: 2, dash: [] },
  dashed: { stroke: "#7a7a7a", width: 1.5, dash: [6, 4] },
  dotted: { stroke: "#7a7a7a", width: 1, dash: [2, 3] },
  points: { stroke: "#1b1b1b", width: 1, dash: [] },
};
const chartHeight = 250;

function isDrawn(chart) {
  return chart.series.some((series) => series.y.some((value) => value !== null));
}

/** Places of values without a neighbour: a line does not show them. */
function loneValues(y) {
  const isValue = (i) => y[i] !== null && y[i] !== undefined;
  return [...y.keys()].filter((i) => isValue(i) && !isValue(i - 1) && !isValue(i + 1));
}

function drawWithLibrary(chart, box) {
  // Series have places of their own along x: joined, what a series lacks is left out.
  const data = uPlot.join(chart.series.map((series) => [series.x, series.y]));
  const isLog = chart.y_scale === "log";
  const axisFont = `12px ${getComputedStyle(document.body).fontFamily}`;
  const axis = (label, size) => ({ label, size, labelSize: 20, font: axisFont, labelFont: axisFont, stroke: "#1b1b1b",
    grid: { stroke: "#e4e4e4", width: 1 }, ticks: { stroke: "#1b1b1b", width: 1, size: 5 }, labelGap: 2 });
  const options = {
    width: box.clientWidth,
    height: chartHeight,
    scales: { x: { time: false }, y: isLog ? { distr: 3 } : {} },
    legend: { live: true },
    cursor: { drag: { x: true, y: false }, points: { size: 7 } },
    axes: [
      { ...axis(chart.x_label, 34), values: (_, ticks) => ticks.map(tickText) },
      { ...axis(chart.y_label, isLog ? 58 : 50),
        ...(isLog ? { filter: (_, ticks) => ticks.map((tick) => (powerText(tick) === "" ? null : tick)), grid: { stroke: "#e4e4e4", width: 1, filter: (_, ticks) => ticks.map((tick) => (powerText(tick) === "" ? null : tick)) } } : {}),
        values: (_, ticks) => ticks.map((tick) => (tick === null ? null : isLog ? powerText(tick) : tickText(tick))) },
    ],
    series: [{ label: chart.x_label.split(" ")[0], value: (_, value) => numberText(value) },
      ...chart.series.map(({ name, style, x, y }) => ({
        label: name,
        stroke: strokes[style].stroke,
        width: style === "points" ? 0 : strokes[style].width,
        dash: strokes[style].dash,
        paths: style === "points" ? () => null : undefined,
        points: style === "points" ? { show: true, size: 6, width: 1, fill: "#fff", stroke: strokes.points.stroke }
          : { show: loneValues(y).length > 0, size: 5, fill: strokes[style].stroke, filter: () => loneValues(y).map((i) => data[0].indexOf(x[i])) },
        value: (_, value) => numberText(value),
      }))],
  };
  const plot = new uPlot(options, data, box);
  // The legend names the kind of line; lines without a name are not in it.
  plot.root.querySelectorAll(".u-legend .u-series").forEach((row, i) => {
    if (i === 0) return;
    const series = chart.series[i - 1];
    if (series.name === "") row.style.display = "none";
    else row.querySelector("th").prepend(strokeSample(series.style));
  });
  new ResizeObserver(() => {
    if (box.clientWidth > 0 && box.clientWidth !== plot.width) plot.setSize({ width: box.clientWidth, height: chartHeight });
  }).observe(box);
}

const svgNames = "http://www.w3.org/2000/svg";

function svg(tag, properties, ...children) {
  const node = document.createElementNS(svgNames, tag);
  for (const [name, value] of Object.entries(properties)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function strokeSample(style) {
  const { stroke, width, dash } = strokes[style];
  const sample = style === "points"
    ? svg("circle", { cx: 15, cy: 5, r: 3.2, fill: "none", stroke, "stroke-width": width })
    : svg("line", { x1: 0, x2: 30, y1: 5, y2: 5, stroke, "stroke-width": width, "stroke-dasharray": dash.join(" ") });
  return svg("svg", { viewBox: "0 0 30 10", class: "sample", style: "width:30px;height:10px;display:inline-block;margin-right:.4em" }, sample);
}

/** A tick without the digits that are only rounding. */
function tickText(value) {
  if (value === null) return null;
  return Math.abs(value) >= 1e6 ? value.toExponential(0) : String(Number(value.toPrecision(6)));
}

function powerText(value) {
  const power = Math.log10(value);
  return Math.abs(power - Math.round(power)) < 1e-9 ? "10" + [...String(Math.round(power))].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit] || "⁻").join("") : "";
}

/** Places of ticks: multiples of 1, 2 or 5 times a power of ten, about `wanted` of them. */
function tickPlaces(lo, hi, wanted) {
  const raw = (hi - lo) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  const ticks = [];
  for (let tick = Math.ceil(lo / step) * step; tick <= hi + step * 1e-9; tick += step) ticks.push(Math.abs(tick) < step * 1e-9 ? 0 : tick);
  return ticks;
}

function drawStill(chart, box) {
  const size = { width: Math.max(320, box.clientWidth), height: chartHeight };
  const frame = { left: 62, right: size.width - 12, top: 10, bottom: size.height - 44 };
  const isLog = chart.y_scale === "log";
  const scaled = (value) => (isLog ? Math.log10(value) : value);
  const points = chart.series.map((series) => series.x
    .map((x, i) => (series.y[i] === null || x === null ? null : [x, scaled(series.y[i])])));
  const all = points.flat().filter((point) => point !== null);
  const extent = (axis) => all.reduce(([lo, hi], point) => [Math.min(lo, point[axis]), Math.max(hi, point[axis])], [Infinity, -Infinity]);
  const opened = ([lo, hi], share) => (hi > lo ? [lo - share * (hi - lo), hi + share * (hi - lo)] : [lo - 0.5, hi + 0.5]);
  const [xLo, xHi] = opened(extent(0), 0);
  const [yLo, yHi] = opened(extent(1), 0.06);
  const placeX = (x) => frame.left + (x - xLo) / (xHi - xLo) * (frame.right - frame.left);
  const placeY = (y) => frame.bottom - (y - yLo) / (yHi - yLo) * (frame.bottom - frame.top);
  const image = svg("svg", { viewBox: `0 0 ${size.width} ${size.height}`, role: "img", "aria-label": `${chart.y_label} against ${chart.x_label}`, class: "still" });
  const line = (x1, y1, x2, y2, stroke) => image.append(svg("line", { x1, y1, x2, y2, stroke, "stroke-width": 1 }));
  const label = (text, x, y, anchor, extra) => image.append(svg("text", { x, y, "text-anchor": anchor, ...extra }, text));
  for (const tick of tickPlaces(xLo, xHi, size.width / 90)) {
    line(placeX(tick), frame.top, placeX(tick), frame.bottom, "#e4e4e4");
    label(tickText(tick), placeX(tick), frame.bottom + 16, "middle", {});
  }
  for (const tick of isLog ? tickPlaces(Math.floor(yLo), Math.ceil(yHi), 5).filter((t) => Number.isInteger(t) && t >= yLo && t <= yHi) : tickPlaces(yLo, yHi, 5)) {
    line(frame.left, placeY(tick), frame.right, placeY(tick), "#e4e4e4");
    label(isLog ? powerText(10 ** tick) : tickText(tick), frame.left - 6, placeY(tick) + 4, "end", {});
  }
  line(frame.left, frame.top, frame.left, frame.bottom, "#1b1b1b");
  line(frame.left, frame.bottom, frame.right, frame.bottom, "#1b1b1b");
  label(chart.x_label, (frame.left + frame.right) / 2, size.height - 8, "middle", {});
  label(chart.y_label, 0, 0, "middle", { transform: `translate(13 ${(frame.top + frame.bottom) / 2}) rotate(-90)` });
  chart.series.forEach(({ style }, k) => {
    const { stroke, width, dash } = strokes[style];
    if (style === "points") {
      for (const point of points[k].filter((p) => p !== null))
        image.append(svg("circle", { cx: placeX(point[0]).toFixed(1), cy: placeY(point[1]).toFixed(1), r: 2.6, fill: "none", stroke }));
      return;
    }
    let path = "";
    let isOpen = false;
    for (const point of points[k]) {
      if (point !== null) path += `${isOpen ? "L" : "M"}${placeX(point[0]).toFixed(1)} ${placeY(point[1]).toFixed(1)}`;
      isOpen = point !== null;
    }
    for (const i of loneValues(points[k]))
      image.append(svg("circle", { cx: placeX(points[k][i][0]).toFixed(1), cy: placeY(points[k][i][1]).toFixed(1), r: 2.5, fill: stroke }));
    image.append(svg("path", { d: path, fill: "none", stroke, "stroke-width": width, "stroke-dasharray": dash.join(" ") }));
  });
  box.append(image, el("div", { class: "legend" },
    chart.series.filter((series) => series.name !== "").map((series) => el("span", {}, strokeSample(series.style), series.name))));
}

function drawChart(chart, title, into) {
  const box = el("div", { class: "plot" });
  into.append(el("div", { class: "chart", id: chart.id }, el("p", { class: "name" }, title), box));
  if (!isDrawn(chart)) {
    box.append(el("p", { class: "caption" }, "There is nothing to show: no voxels."));
    return;
  }
  if (typeof uPlot === "undefined") drawStill(chart, box);
  else drawWithLibrary(chart, box);
}

// ---------------------------------------------------------------------------------------------
// Pictures

/** A bar of a round length, at most a quarter of the width. */
function scaleBar(width) {
  const power = 10 ** Math.floor(Math.log10(width / 4));
  const length = [5, 2, 1].map((factor) => factor * power).find((candidate) => candidate <= width / 4);
  return { length, share: length / width };
}

function pictureNode(picture, alt, size) {
  const bar = scaleBar(size.width);
  const image = el("img", { src: `data:image/png;base64,${picture.png}`, alt });
  const row = el("span", { class: "cross row" });
  const column = el("span", { class: "cross column" });
  // The bar is drawn inside a box with padding, whose width is a share of the picture's.
  const scale = el("span", { class: "scale" }, lengthText(bar.length), el("i", {}));
  const node = el("div", { class: "picture", style: { aspectRatio: `${size.width} / ${size.height}`, maxHeight: "70vh", maxWidth: "100%" } },
    image, row, column, scale);
  const fit = () => {
    scale.querySelector("i").style.width = `${bar.share * node.clientWidth}px`;
    node.classList.toggle("thin", node.clientHeight < 48);
  };
  new ResizeObserver(fit).observe(node);
  return { node, image, row, column };
}

/** The greys of a picture, by column and row, once they are asked for. */
function greyReader(image) {
  let pixels = null;
  return (shareX, shareY) => {
    if (pixels === null) {
      const canvas = el("canvas", { width: image.naturalWidth, height: image.naturalHeight });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    }
    const x = Math.min(pixels.width - 1, Math.floor(shareX * pixels.width));
    const y = Math.min(pixels.height - 1, Math.floor(shareY * pixels.height));
    return pixels.data[4 * (y * pixels.width + x)];
  };
}

function greyText(grey, [lo, hi]) {
  const sign = grey === 0 ? "≤ " : grey === 255 ? "≥ " : "";
  return sign + numberText(Math.round(lo + grey / 255 * (hi - lo)));
}

/** Pictures of one plane side by side: pointing at one reads off all. */
function linkPictures(entries, size, axes, readout) {
  const readers = entries.map(({ image }) => greyReader(image));
  for (const { node } of entries) {
    node.addEventListener("mousemove", (event) => {
      const box = node.getBoundingClientRect();
      const shareX = Math.min(0.999999, Math.max(0, (event.clientX - box.left) / box.width));
      const shareY = Math.min(0.999999, Math.max(0, (event.clientY - box.top) / box.height));
      for (const entry of entries) {
        entry.row.style.display = entry.column.style.display = "block";
        entry.row.style.top = `${100 * shareY}%`;
        entry.column.style.left = `${100 * shareX}%`;
      }
      const place = `${axes[0]} ${lengthText(shareX * size.width)}, ${axes[1]} ${lengthText(shareY * size.height)}: `;
      readout.textContent = place + entries.map(({ name, range }, i) => `${name} ${greyText(readers[i](shareX, shareY), range)}`).join(", ");
    });
    node.addEventListener("mouseleave", () => {
      for (const entry of entries) entry.row.style.display = entry.column.style.display = "none";
      readout.textContent = "";
    });
  }
}

function greyBar(range, unit) {
  return el("div", { class: "bar" }, numberText(range[0]), el("span", { class: "ramp" }), numberText(range[1]), el("small", {}, unit));
}

function cutNode(cut, volume) {
  const size = { width: cut.width, height: cut.height };
  const columns = [["input", "Input", "as stored", volume.contrast.input], ["less_background", "Before", "less background", volume.contrast.before],
    ["corrected", "After", volume.rejected ? "rejected, not written" : "corrected", volume.contrast.after], ["difference", "Difference", volume.ratio === 1 ? "after − before" : "after ÷ ratio − before", volume.difference_range]];
  const entries = columns.map(([key, name, what, range]) => ({ name, what, range, ...pictureNode(cut[key], `${name} (${what}), plane ${cut.axes}`, size) }));
  const readout = el("p", { class: "readout" });
  linkPictures(entries, size, cut.axes, readout);
  return el("div", { class: "cut" },
    el("h3", {}, `${cut.axes}, at ${cut.normal} = ${lengthText(cut.position)} (plane ${cut.index})`),
    el("div", { class: "pictures" }, entries.map((entry) =>
      el("figure", {}, el("figcaption", {}, el("span", {}, entry.name, " ", el("small", {}, entry.what)), el("small", { class: "range" }, `${numberText(entry.range[0])} to ${numberText(entry.range[1])}`)), entry.node))),
    readout);
}

const planeTitles = { background: "Background image", flatfield: "Flatfield", darkfield: "Darkfield" };

function planeNode(plane) {
  const size = { width: plane.width, height: plane.height };
  const entry = { name: planeTitles[plane.id], range: plane.range, ...pictureNode(plane, planeTitles[plane.id], size) };
  return el("figure", {}, el("figcaption", {}, planeTitles[plane.id]), entry.node, greyBar(plane.range, plane.unit));
}

// ---------------------------------------------------------------------------------------------
// Sections

function volumeNode(volume, several) {
  const node = document.getElementById("volume").content.cloneNode(true).firstElementChild;
  document.getElementById("volumes").append(node);
  const part = (section, name) => node.querySelector(`.${section} .${name}`);
  if (several) node.querySelectorAll("h2").forEach((head) => head.append(` – ${volume.label}`));

  const cuts = part("cuts", "content");
  cuts.append(...volume.cuts.map((cut) => cutNode(cut, volume)));
  cuts.append(el("p", { class: "readout" }, "The numbers over a picture are the counts that are black and white in it; in the difference, grey in the middle is no change."));

  const axisOf = (chart) => chart.id.slice(-1);
  if (volume.charts.curves.length === 0) {
    node.querySelector(".curves-caption").remove();
    part("correction", "content").remove();
  }
  volume.charts.curves.forEach((chart) => drawChart(chart, `Curve along ${axisOf(chart)}`, part("correction", "content")));
  if (volume.planes.length === 0) node.querySelector(".planes-caption").remove();
  part("correction", "planes").append(...volume.planes.map(planeNode));
  if (volume.planes.length === 0 && volume.charts.curves.length === 0) node.querySelector(".correction").remove();

  node.querySelector(".where").textContent = volume.has_mask ? "inside the mask" : "(there is no mask: all voxels)";
  volume.charts.evenness.forEach((chart) => drawChart(chart, `Along ${axisOf(chart)}`, part("evenness", "content")));
  const names = { histogram_input: "Input", histogram_corrected: "Corrected", plane_deviation: "Standard deviation of the input", plane_mean: "Mean of the input", corrected_mean: "Mean, corrected" };
  volume.charts.histograms.forEach((chart) => drawChart(chart, names[chart.id], part("histograms", "content")));
  volume.charts.plane_statistics.forEach((chart) => drawChart(chart, names[chart.id], part("plane-statistics", "content")));
}

function keyFigures(numbers) {
  const value = (name) => (numbers[name] ? numbers[name].value : null);
  const figures = [];
  for (const axis of "zyx") {
    const before = value(`profile_cv_${axis}_before`);
    const after = value(`profile_cv_${axis}_after`);
    if (before !== null && after !== null)
      figures.push([`variation along ${axis}`, `${before.toFixed(1)} → ${after.toFixed(1)}`, "%"]);
  }
  const single = [["mask_auc", "mask fits (AUC)", ""], ["background_median_after", "background after", "counts"], ["global_ratio", "global ratio", "×"], ["saturated_fraction", "saturated", ""]];
  for (const [name, what, unit] of single)
    if (value(name) !== null) figures.push([what, numberText(value(name)), unit]);
  return el("div", { class: "figures" }, figures.map(([what, text, unit]) =>
    el("div", {}, el("div", { class: "what" }, what), el("div", { class: "value" }, text, " ", el("small", {}, unit)))));
}

/** A text whose names may be broken after their underscores. */
function breakable(text) {
  return el("span", {}, (text || "").split("_").flatMap((part, i) => (i === 0 ? [part] : ["_", el("wbr", {}), part])));
}

function qualityNode(block, guide) {
  const rows = [];
  const known = new Set();
  const add = (name, meaning, unit) => {
    const number = block.numbers[name];
    known.add(name);
    if (!number || number.verdict === "not measured") return null;
    const kind = { fail: "fail", warn: "warn" }[number.verdict] || (number.verdict === "context" ? "quiet" : null);
    return { kind, cells: [meaning, { text: breakable(name), kind: "name" }, { text: numberText(number.value) + (unit === "%" ? " %" : ""), kind: "number" }, verdictNode(number.verdict),
      { text: breakable(number.warn), kind: "threshold" }, { text: breakable(number.fail), kind: "threshold" }] };
  };
  const heads = ["what it is", "number", { text: "value", kind: "number" }, "verdict", "warns if", "fails if"];
  const parts = [];
  for (const { question, look, numbers } of guide) {
    const group = numbers.map(({ name, meaning, unit }) => add(name, unit && unit !== "%" && unit !== "share" ? `${meaning} (${unit})` : meaning, unit)).filter((row) => row !== null);
    if (group.length > 0) parts.push(el("h3", {}, question), el("p", { class: "caption" }, look), table(heads, group, { class: "numbers" }));
  }
  for (const name of Object.keys(block.numbers)) if (!known.has(name)) rows.push(add(name, name, ""));
  if (rows.length > 0) parts.push(table(heads, rows.filter((row) => row !== null), { class: "numbers" }));
  return el("div", {}, keyFigures(block.numbers), el("p", { class: "caption" }, `Level ${block.level}; mask: ${block.mask}.`), parts);
}

function costNode(record) {
  const parts = [];
  if (record.plan) {
    const { planned, actual } = record.plan;
    const row = (what, key, text) => {
      const ratio = planned[key] && actual[key] !== null ? (actual[key] / planned[key]).toFixed(2) : "–";
      return { cells: [what, number(text(planned[key])), number(text(actual[key])), number(ratio)] };
    };
    parts.push(table(["", { text: "planned", kind: "number" }, { text: "actual", kind: "number" }, { text: "actual ÷ planned", kind: "number" }],
      [row("wall time", "wall_seconds", secondsText), row("CPU time", "cpu_seconds", secondsText), row("peak memory", "peak_memory_bytes", bytesText),
        row("read", "bytes_read", bytesText), row("written", "bytes_written", bytesText)], { class: "narrow" }));
    if (planned.wall_seconds === null)
      parts.push(el("p", { class: "caption" }, "Time and bytes written are planned only where a sample is small beside the work."));
  } else if (record.seconds !== undefined) {
    parts.push(facts([["wall time", secondsText(record.seconds)], ["CPU time", secondsText(record.cpu_seconds)], ["peak memory", bytesText(record.peak_memory_bytes)],
      ["read", bytesText(record.bytes_read)], ["written", bytesText(record.bytes_written)]]));
  }
  const stages = Object.entries(record.stages || {}).filter(([, stage]) => stage.cpu_seconds > 0 || stage.wall_seconds > 0);
  if (stages.length > 0)
    parts.push(el("h3", {}, "By kind of work"), table(["", { text: "CPU time", kind: "number" }, { text: "time of all workers", kind: "number" }],
      stages.map(([name, stage]) => ({ cells: [name, number(secondsText(stage.cpu_seconds)), number(secondsText(stage.wall_seconds))] })), { class: "narrow" }));
  return el("div", {}, parts);
}

function configurationNode(configuration, changed) {
  const rows = changed.map((key) => ({ cells: [{ text: key, kind: "name" }, el("code", {}, JSON.stringify(configuration[key]))] }));
  return el("div", {}, rows.length > 0 ? table(["option", "value"], rows, { class: "narrow" }) : el("p", {}, "All options are at their defaults."),
    el("details", {}, el("summary", {}, "The whole configuration"), el("pre", {}, JSON.stringify(configuration, null, 2))));
}

function show(data) {
  const { record } = data;
  const state = tileState(record);
  const content = (id) => document.querySelector(`#${id} .content`);
  const first = data.volumes[0];
  document.getElementById("head").append(
    el("p", { class: "kind" }, data.heading),
    el("h1", {}, data.tile),
    el("p", { class: `banner ${state.kind}` }, el("span", { class: "mark" }, marks[state.kind]), el("b", {}, state.text),
      state.reason ? el("span", { class: "reason" }, state.reason) : null),
    facts([["status", (record.status || "").replace("_", " ")], ["method", data.configuration.skip_flat_field ? "background subtraction" : data.configuration.method],
      ["written", data.created.slice(0, 19).replace("T", " ") + " UTC"],
      ["shown level", first ? `${first.level}: ${first.shape.join(" × ")} voxels (z, y, x)` : null],
      ["voxel of this level", first ? first.scale.map(numberText).join(" × ") + " µm" : null], ...Object.entries(data.facts || {})]));

  const blocks = Object.entries(record.qc || {});
  const entries = [];
  for (const [label, block] of blocks)
    for (const reason of block.reasons) {
      const name = reason.split(" = ")[0];
      const verdict = block.numbers[name] && block.numbers[name].verdict === "fail" ? "fail" : "warn";
      entries.push([verdict, (blocks.length > 1 ? `${label}: ` : "") + reason]);
    }
  const said = new Set(blocks.flatMap(([, block]) => block.reasons));
  // What learning warns of in a tile of several volumes begins with the name of the volume, as "t0_c1: ".
  const unnamed = (warning) => warning.replace(/^t\d+_c\d+: /, "");
  for (const warning of record.warnings || []) if (!said.has(unnamed(warning))) entries.push(["warn", warning]);
  entries.sort((a, b) => severity[b[0]] - severity[a[0]]);
  content("warnings").append(warningList(entries));

  for (const [label, block] of blocks) {
    if (blocks.length > 1) content("quality").append(el("h3", {}, label));
    content("quality").append(qualityNode(block, data.guide));
  }
  if (blocks.length === 0) document.getElementById("quality").remove();
  for (const volume of data.volumes) volumeNode(volume, data.volumes.length > 1);
  content("cost").append(costNode(record));
  content("configuration").append(configurationNode(data.configuration, data.changed));
  document.getElementById("foot").append(`${data.program} ${data.version}. `,
    typeof uPlot === "undefined" ? "Charts are still pictures. " : "Charts: drag to zoom along x, double-click to see all again; the legend shows the values under the pointer. ",
    "How to read this page: docs/report.md; the numbers: docs/quality.md.");
}

show(reportData());
document.documentElement.dataset.ready = "yes";
