"use strict";

function variation(qc) {
  const blocks = Object.values(qc || {});
  if (blocks.length === 0) return "–";
  const { numbers } = blocks[0];
  return [..."zyx"].map((axis) => {
    const before = numbers[`profile_cv_${axis}_before`];
    const after = numbers[`profile_cv_${axis}_after`];
    return before && before.value !== null && after && after.value !== null
      ? `${axis} ${before.value.toFixed(1)} → ${after.value.toFixed(1)} %` : null;
  }).filter((text) => text !== null).join("\n") || "–";
}

function thumbs(page) {
  if (!page.before) return "";
  const picture = (png, alt) => el("img", { src: `data:image/png;base64,${png}`, alt });
  return el("span", { class: "thumbs" }, picture(page.before, "before"), picture(page.after, "after"));
}

function tileRow(record, page) {
  const state = tileState(record);
  const name = page.report ? el("a", { href: encodeURIComponent(page.report) }, record.tile) : record.tile;
  const count = (record.warnings || []).length;
  return { kind: { fail: "fail", warn: "warn" }[state.kind] || null, verdict: state.kind, order: { fail: 0, warn: 1, none: 2, pass: 3 }[state.kind],
    cells: [el("span", {}, name, el("br", {}), el("small", {}, (state.reason || state.text) + (record.finished_as ? " (finished by an earlier run)" : ""))), el("span", { class: `verdict ${state.kind}` }, `${marks[state.kind]} ${state.kind === "none" ? (record.status || "").replace("_", " ") : state.kind}`),
      thumbs(page), { text: variation(record.qc), kind: "lines" }, number(count === 0 ? "–" : String(count)), number(secondsText(record.seconds)), number(bytesText(record.peak_memory_bytes))] };
}

function show({ run, pages, created }) {
  const content = (id) => document.querySelector(`#${id} .content`);
  const rows = run.tiles.map((record, i) => tileRow(record, pages[i]));
  const [bad, doubtful, unjudged] = ["fail", "warn", "none"].map((verdict) => rows.filter((row) => row.verdict === verdict).length);
  const state = bad > 0 ? "fail" : doubtful > 0 ? "warn" : unjudged > 0 ? "none" : "pass";
  const stopped = run.counts.failed;
  const how = [[bad - stopped, "in quality"], [stopped, "stopped by an error"]].filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`).join(", ");
  const parts = [bad > 0 ? `${bad} of ${rows.length} tiles failed (${how})` : null,
    doubtful > 0 ? (bad > 0 ? `${doubtful} more should be looked at` : `${doubtful} of ${rows.length} tiles should be looked at`) : null,
    unjudged > 0 ? (unjudged < rows.length ? `${unjudged} of ${rows.length} tiles were not judged` : "No tile was judged") : null].filter((part) => part !== null);
  const text = parts.join("; ") || `All ${rows.length} tiles are good`;
  const statusNames = { failed: "stopped by an error" };
  document.getElementById("head").append(
    el("p", { class: "kind" }, "Corrected tiles"),
    el("h1", {}, `${rows.length} tiles`),
    el("p", { class: `banner ${state}` }, el("span", { class: "mark" }, marks[state]), el("b", {}, text)),
    facts([...Object.entries(run.counts).map(([name, count]) => [statusNames[name] || name.replace("_", " "), count]), ["written", created.slice(0, 19).replace("T", " ") + " UTC"]]));
  content("warnings").append(warningList(run.warnings.map((warning) => ["warn", warning])));
  rows.sort((a, b) => a.order - b.order);
  content("tiles").append(table(["tile", "verdict", "before, after", "variation", { text: "warnings", kind: "number" }, { text: "time", kind: "number" }, { text: "peak memory", kind: "number" }], rows));
  if (run.overlap === null) document.getElementById("overlap").remove();
  else content("overlap").append(facts([["pairs of tiles", run.overlap.pairs], ["before", numberText(run.overlap.residual_before)], ["after", numberText(run.overlap.residual_after)]]));
  document.getElementById("foot").append(`${run.program} ${run.version}. How to read this page: docs/report.md.`);
}

show(reportData());
document.documentElement.dataset.ready = "yes";
