"use strict";
const { span, rows, sql, builtAt } = JSON.parse(document.getElementById("data").textContent);
const DAY = 86400000;
// tells eight sources apart for people who see few colours (Okabe and Ito, 2008)
const COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8c8c8c", "#b8a800"];
const isWhole = span.today === span.until;
const PERIODS = {
  month: { now: 0, before: 1, text: isWhole ? "Month" : "Month to date", against: isWhole ? "the month before" : "the same days of the month before" },
  week: { now: 2, before: 3, text: "Last 7 whole days", against: "the 7 days before" },
  thirty: { now: 4, before: 5, text: "Last 30 whole days", against: "the 30 days before" },
};
const sources = [...new Set(rows.things.map((thing) => thing.source))];
const color = (source) => COLORS[sources.indexOf(source) % COLORS.length];
const filters = { period: "month", source: "", org: "", owner: "", project: "" };

const dollars = new Intl.NumberFormat("en", { style: "currency", currency: "USD" });
const amounts = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const percents = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 0, signDisplay: "exceptZero" });
const amount = (value) => (value == null ? "–" : amounts.format(value));
const day = (text) => (text == null ? "" : String(text).slice(0, 10));
const sum = (values) => values.reduce((total, value) => (value == null ? total : (total ?? 0) + value), null);
function money(value, isUsed = true) {
  if (value == null) return isUsed ? "no price" : "–";
  return value !== 0 && Math.abs(value) < 0.005 ? "< $0.01" : dollars.format(value);
}
function change(now, before) {
  if (!before) return now ? "new" : "";
  if (now == null) return "gone";
  const share = (now - before) / Math.abs(before);
  return share > 10 ? "over 10 times" : percents.format(share);
}

// an element with attributes and children; text stays text, whatever a vendor calls a project
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}
function section(id, title, query, ...children) {
  const place = document.getElementById(id);
  const link = make("a", { class: "sql", href: `#sql-${query}` }, "SQL");
  place.replaceChildren(...(title ? [make("h2", {}, title, " ", link)] : []), ...children.filter(Boolean));
}
const swatch = (source) => make("span", { class: "swatch", style: `background:${color(source)}` });

// a table whose columns sort; a column is { key, text, isNumber, cell }
const orders = {};
function table(id, columns, found, limit = 20, empty = "Nothing.") {
  if (!found.length) return make("p", { class: "quiet" }, empty);
  const order = orders[id];
  const sorted = [...found];
  if (order) {
    const rank = (row) => row[order.key] ?? (order.down ? -Infinity : Infinity);
    sorted.sort((a, b) => {
      const [x, y] = [rank(a), rank(b)];
      return (typeof x === "string" || typeof y === "string" ? String(x).localeCompare(String(y)) : x - y) * (order.down ? -1 : 1);
    });
  }
  const sort = (key) => {
    orders[id] = { key, down: !(order && order.key === key && order.down) };
    draw();
  };
  const head = columns.map(({ key, text, isNumber }) => {
    const state = order?.key === key ? (order.down ? "descending" : "ascending") : null;
    return make("th", { class: isNumber ? "n" : null, "aria-sort": state, scope: "col" }, make("button", { type: "button", onclick: () => sort(key) }, text));
  });
  const body = sorted.slice(0, limit).map((row) =>
    make("tr", {}, ...columns.map(({ key, isNumber, cell }) => make("td", { class: isNumber ? "n" : "name" }, cell ? cell(row) : row[key] ?? ""))));
  const more = sorted.length > limit ? [make("p", { class: "quiet" }, `… and ${sorted.length - limit} more`)] : [];
  return make("div", { class: "wide" }, make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body)), ...more);
}
const compared = (source, period = filters.period) => rows.compared.find((row) => row.source === source && row.period === period);
const isComparable = (source, period) => compared(source, period)?.is_comparable ?? false;
const costs = (period = filters.period) => [
  { key: "cost", text: PERIODS[period].text, isNumber: true, cell: (row) => money(row.cost, row.isUsed ?? false) },
  { key: "before", text: "Before", isNumber: true, cell: (row) => (row.before == null ? "" : money(row.before)) },
  { key: "difference", text: "Change", isNumber: true, cell: (row) => (row.isComparable ? change(row.cost, row.before) : "") },
];

// a project that is called so is meant alone: one may be the beginning of another's name
const names = new Set(rows.things.map((thing) => thing.project));
const isProject = (name, text) => (names.has(text) ? name === text : (name ?? "").toLowerCase().includes(text.toLowerCase()));
const matches = (row) =>
  ["source", "org", "owner"].every((name) => !filters[name] || row[name] === filters[name]) &&
  (!filters.project || isProject(row.project, filters.project));
const ofSource = (found) => found.filter((row) => !filters.source || row.source === filters.source);
// which of the filters say nothing of a table
const KINDS = { org: "organizations", project: "projects", owner: "owners" };
const ofAll = (...names) => {
  const all = names.filter((name) => filters[name]).map((name) => KINDS[name]);
  return all.length ? make("p", { class: "quiet" }, `Of all ${all.join(" and ")}.`) : null;
};
const chosen = () => rows.things.filter(matches);
const costOf = (thing, place) => sum(thing.meters.map((meter) => meter.c?.[place]));
function grouped(things, key) {
  const { now, before } = PERIODS[filters.period];
  const groups = Map.groupBy(things, key);
  return [...groups].map(([name, members]) => {
    const [cost, last] = [sum(members.map((it) => costOf(it, now))), sum(members.map((it) => costOf(it, before)))];
    const isUsed = members.some((it) => it.meters.some((meter) => meter.q?.[now] != null));
    return { name, ...members[0], isUsed, cost, before: last, difference: Math.abs((cost ?? 0) - (last ?? 0)), isComparable: members.every((it) => isComparable(it.source)) };
  }).sort((a, b) => (b.cost ?? -1) - (a.cost ?? -1));
}

function drawNeeds() {
  const line = (it) =>
    make("li", {},
      make("strong", { class: it.is_failure ? "bad" : "warn" }, it.kind), ` ${it.source}: ${it.what}. `, it.what_to_do,
      it.too_late_at ? make("span", { class: "bad" }, ` Before ${day(it.too_late_at)}.`) : null);
  const [failures, warnings] = [rows.needs.filter((it) => it.is_failure), rows.needs.filter((it) => !it.is_failure)];
  const text = failures.length ? `${failures.length} ${failures.length === 1 ? "thing needs" : "things need"} you` : "Nothing needs you";
  const folded = [...Map.groupBy(warnings, (it) => it.kind)].map(([kind, found]) =>
    make("details", {}, make("summary", { class: "warn" }, `${kind}: ${found.length} to know of`), make("ul", { class: "needs" }, ...found.map(line))));
  section("needs", text, "needs", make("ul", { class: "needs" }, ...failures.map(line)), ...folded);
}

function drawSources(things) {
  const { against } = PERIODS[filters.period];
  const cards = grouped(things, (thing) => thing.source).map((it) => {
    const fresh = rows.freshness.filter((row) => row.source === it.source);
    const forecast = filters.project || filters.owner ? null : sum(rows.forecast.filter((row) => row.source === it.source && matches(row)).map((row) => row.last_7_days_cost ?? row.straight_line_cost));
    // what has ended is nobody's trouble
    const worst = ["late", "ok"].map((verdict) => fresh.find((row) => row.verdict === verdict)).find(Boolean) ?? fresh[0];
    return make("article", { class: "card" },
      make("h3", {}, swatch(it.source), it.source),
      make("div", { class: "big" }, money(it.cost, it.isUsed)),
      isWhole || forecast == null || forecast < it.cost ? null : make("div", {}, `${money(forecast)} by the end of the month`),
      make("div", { class: "quiet" }, it.before == null ? "nothing priced before" : `${it.isComparable ? `${change(it.cost, it.before) || "±0%"} against ` : ""}${money(it.before)}, ${against}${it.isComparable ? "" : `: not comparable, ${compared(it.source).has_months ? "some is told by the month" : "fewer days are known"}`}`),
      filters.period !== "month" && compared(it.source, "month")?.has_months ? make("div", { class: "quiet" }, "without what is told by the month") : null,
      worst ? make("div", { class: { late: "bad", ok: "good" }[worst.verdict] ?? "quiet" }, `${worst.verdict}${worst.held_until ? `, held to ${worst.held_until.slice(0, 16)}Z` : ""}`) : null,
      worst?.complete_since_date ? make("div", { class: "quiet" }, `every day since ${worst.complete_since_date}`) : null);
  });
  section("sources", "Where it goes", "things", cards.length ? make("div", { class: "cards" }, ...cards) : make("p", { class: "quiet" }, "No usage is known."));
}

let chart;
function drawChart(things) {
  const first = Math.min(Date.parse(span.month_before), Date.parse(span.today) - 60 * DAY);
  const length = Math.round((Date.parse(span.until) - first) / DAY);
  const days = Array.from({ length }, (_, n) => new Date(first + n * DAY).toISOString().slice(0, 10));
  const dark = matchMedia("(prefers-color-scheme: dark)").matches && !matchMedia("print").matches;
  const [ink, line] = dark ? ["#9aa5b1", "#343c46"] : ["#59636e", "#d8dde3"];
  const hatched = { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [2, 3], rotation: -Math.PI / 4, color: dark ? "rgba(0,0,0,.55)" : "rgba(255,255,255,.65)" };
  const series = sources.map((source) => {
    const totals = new Array(length).fill(0);
    for (const thing of things) if (thing.source === source) for (const [n, cost] of Object.entries(thing.days ?? {})) totals[n] += cost;
    const open = new Set(rows.coverage.filter((row) => row.source === source && row.state === "open").map((row) => row.date));
    return {
      name: source, type: "bar", stack: "cost", itemStyle: { color: color(source) }, emphasis: { disabled: true },
      data: totals.map((value, n) => ({ value: Math.round(value * 100) / 100, itemStyle: days[n] >= span.today || open.has(days[n]) ? { decal: hatched } : undefined })),
    };
  }).filter((it) => it.data.some(({ value }) => value));
  chart ??= echarts.init(document.getElementById("chart"));
  chart.setOption({
    animation: false, aria: { enabled: true, decal: { show: true, decals: { symbol: "none" } } },
    textStyle: { color: ink, fontFamily: "system-ui, sans-serif" },
    grid: { left: 8, right: 8, top: 34, bottom: 4, containLabel: true },
    legend: { top: 0, left: 0, textStyle: { color: ink }, itemWidth: 12, itemHeight: 12 },
    tooltip: { trigger: "axis", order: "valueDesc", confine: true, valueFormatter: money },
    xAxis: { type: "category", data: days, axisLabel: { color: ink, formatter: (text) => text.slice(5) }, axisTick: { show: false }, axisLine: { lineStyle: { color: line } } },
    yAxis: { type: "value", axisLabel: { color: ink, formatter: "${value}" }, splitLine: { lineStyle: { color: line } } },
    series,
  }, true);
  document.getElementById("chart").hidden = !series.length;
}

let tab = "project";
function drawDrivers(things) {
  const parts = (kind) => rows.parts.filter((row) => row.kind === kind && matches(row)).map((row) => ({ ...row, name: row.part, before: row.cost_before, difference: Math.abs((row.cost ?? 0) - (row.cost_before ?? 0)), isComparable: isComparable(row.source, "month") }));
  const tabs = {
    project: ["Projects", () => grouped(things, (it) => [it.source, it.org, it.project].join("\n")).map((it) => ({ ...it, name: it.project ?? "(no project)" }))],
    branch: ["Branches", () => parts("branch")],
    site: ["Sites", () => parts("site")],
    user: ["Users", () => parts("user")],
    owner: ["Owners", () => grouped(things, (it) => it.owner)],
    org: ["Organizations", () => grouped(things, (it) => [it.source, it.org].join("\n")).map((it) => ({ ...it, name: it.org ?? "(none)" }))],
  };
  const buttons = Object.entries(tabs).map(([key, [text]]) =>
    make("button", { type: "button", "aria-pressed": String(key === tab), onclick: () => { tab = key; draw(); } }, text));
  const isPart = ["branch", "site", "user"].includes(tab);
  const columns = [{ key: "name", text: "Name" }];
  if (isPart) columns.push({ key: "project", text: "Project" });
  if (tab !== "org" && tab !== "owner") columns.push({ key: "org", text: "Organization" });
  if (tab !== "owner") columns.push({ key: "source", text: "Source", cell: (row) => make("span", {}, swatch(row.source), row.source) });
  section("drivers", "What drove it", isPart ? "parts" : "things", make("div", { class: "tabs" }, ...buttons),
    isPart && filters.period !== "month" ? make("p", { class: "quiet" }, "Of the month: other periods are told by project.") : null,
    table(`drivers-${tab}`, [...columns, ...(isPart ? costs("month") : costs())], tabs[tab][1](), 20, "Nothing of this kind was used."));
}

function drawMeters(things) {
  const { now, before } = PERIODS[filters.period];
  const groups = Map.groupBy(things.flatMap((it) => it.meters.map((meter) => ({ source: it.source, ...meter }))), (it) => [it.source, it.meter, it.unit].join("\n"));
  const found = [...groups.values()].map((members) => {
    const of = (field, place) => sum(members.map((it) => it[field]?.[place]));
    const [cost, last] = [of("c", now), of("c", before)];
    return { ...members[0], isComparable: isComparable(members[0].source), isUsed: of("q", now) != null, quantity: of("q", now), quantityBefore: of("q", before), cost, before: last, difference: Math.abs((cost ?? 0) - (last ?? 0)) };
  }).filter((it) => it.quantity != null || it.quantityBefore != null);
  section("meters", "What was used", "things", table("meters", [
    { key: "meter", text: "Meter" },
    { key: "source", text: "Source", cell: (row) => make("span", {}, swatch(row.source), row.source) },
    { key: "quantity", text: "Quantity", isNumber: true, cell: (row) => amount(row.quantity) },
    { key: "quantityBefore", text: "Before", isNumber: true, cell: (row) => amount(row.quantityBefore) },
    { key: "unit", text: "Unit" }, ...costs(),
  ], found, 100, "No usage is known."));
}

function drawForecast() {
  const found = rows.forecast.filter((row) => matches({ ...row, owner: filters.owner, project: filters.project }));
  const of = (field, show) => ({ isNumber: true, key: field, cell: (row) => show(row[field]) });
  // of what cannot be forecast the cost cannot either, whether it has a price or not
  const cost = (method) => ({ isNumber: true, key: `${method}_cost`, cell: (row) => (row[`${method}_quantity`] == null ? "–" : money(row[`${method}_cost`])) });
  section("forecast", "Where the month will end", "forecast",
    make("p", { class: "quiet" }, "As on its settled days so far, and as on the last 7 of them; a day that is not known is counted as the others."),
    ofAll("project", "owner"),
    table("forecast", [
      { key: "meter", text: "Meter" }, { key: "org", text: "Organization" },
      { key: "source", text: "Source", cell: (row) => make("span", {}, swatch(row.source), row.source) },
      { ...of("straight_line_quantity", amount), text: "As so far" }, { ...of("last_7_days_quantity", amount), text: "As last 7 days" },
      { key: "unit", text: "Unit" },
      { ...cost("straight_line"), text: "Cost as so far" }, { ...cost("last_7_days"), text: "As last 7 days" },
    ], found, 20, "Nothing of this month has settled yet, or the month is over."));
}

function drawAnomalies() {
  const found = rows.anomalies.filter((row) => matches({ ...row, owner: filters.owner }));
  section("anomalies", "Days out of line", "anomalies",
    make("p", { class: "quiet" }, "Against the median of the same weekdays of the 8 weeks before, where 4 or more are known; reports.anomalies says what a spread is."),
    ofAll("owner"),
    table("anomalies", [
    { key: "day", text: "Day" }, { key: "project", text: "Project" }, { key: "meter", text: "Meter" },
    { key: "quantity", text: "Quantity", isNumber: true, cell: (row) => amount(row.quantity) },
    { key: "usual", text: "Usual", isNumber: true, cell: (row) => amount(row.usual) }, { key: "unit", text: "Unit" },
    { key: "score", text: "Spreads from it", isNumber: true, cell: (row) => amount(row.score) },
  ], found, 10, isWhole ? "None: the five weeks before the last build are looked at." : "None in the last five weeks."));
}

const bar = (share) => make("div", { class: "bar", title: percents.format(share ?? 0).replace("+", "") }, make("i", { class: share > 1 ? "over" : "", style: `width:${Math.min(100, 100 * (share ?? 0))}%` }));

function drawBudgets() {
  section("budgets", "Budgets of this month", "budgets", table("budgets", [
    { key: "budget", text: "Budget" }, { key: "scope", text: "Of", cell: (row) => row.scope ?? "everything" },
    { key: "spent_share", text: "Spent", cell: (row) => bar(row.spent_share) },
    { key: "cost", text: "Cost", isNumber: true, cell: (row) => `${row.cost == null ? "–" : money(row.cost)} of ${money(row.amount)}` },
    { key: "forecast", text: "At its end", isNumber: true, cell: (row) => make("span", { class: row.forecast > row.amount ? "bad" : "" }, row.forecast == null ? "–" : money(row.forecast)) },
  ], rows.budgets, 50, isWhole ? "They are told of the month under way." : "None is set: a budget is a row of your own monthly_budgets.csv."));
}

function drawAllowances() {
  section("allowances", "Allowances", "allowances", ofAll("org", "project", "owner"), table("allowances", [
    { key: "meter", text: "Meter" }, { key: "owner", text: "Whose" },
    { key: "used_share", text: "Used", cell: (row) => bar(row.used_share) },
    { key: "used", text: "Quantity", isNumber: true, cell: (row) => `${amount(row.used)} of ${amount(row.included)} ${row.unit}` },
    { key: "days_left", text: "Lasts", isNumber: true, cell: (row) => (row.days_left == null ? (row.used_share > 1 ? make("span", { class: "bad" }, "used up") : "to renewal") : row.days_left <= 0 ? make("span", { class: "bad" }, `used up ${day(row.exhausted_on)}`) : make("span", { class: "warn" }, `${row.days_left} days`)) },
    { key: "renews_on", text: "Renews", isNumber: true },
  ], ofSource(rows.allowances), 20, "No allowance is known."));
}

function drawCoverage() {
  const groups = Map.groupBy(rows.coverage, (row) => row.source);
  const dates = Array.from({ length: 60 }, (_, n) => new Date(Date.parse(span.today) - (59 - n) * DAY).toISOString().slice(0, 10));
  const lines = [...groups].flatMap(([source, known]) => {
    const states = new Map(known.map((row) => [row.date, row]));
    const squares = dates.map((date) => {
      const row = states.get(date);
      return make("i", { class: row?.state ?? "", title: row ? `${date}: ${row.state}${row.not_held ? `, ${row.not_held} of ${row.asked_about} not held` : ""}` : `${date}: not asked` });
    });
    const gone = known.filter((row) => row.not_held).length;
    return [make("span", {}, source), make("div", { class: "days", role: "img", "aria-label": `${source}: ${gone ? `${gone} of 60 days have holes` : "no day has a hole"}` }, ...squares)];
  });
  const key = ["held", "open", "missing", "lost"].map((state) => make("span", {}, make("span", { class: "swatch", style: `background:var(--${state})` }), `${state}  `));
  section("coverage", `What is known, the ${isWhole ? "60 days up to its end" : "last 60 days"}`, "coverage", make("p", { class: "quiet" }, ...key), make("div", { class: "calendar" }, ...lines));
}

function drawRest() {
  section("restatements", `Corrected by vendors in the ${isWhole ? "35 days up to its end" : "last 35 days"}`, "restatements", table("restatements", [
    { key: "source", text: "Source" }, { key: "meter", text: "Meter" }, { key: "granularity", text: "Grain" },
    { key: "buckets", text: "Buckets", isNumber: true },
    { key: "difference", text: "Difference", isNumber: true, cell: (row) => amount(row.difference) }, { key: "unit", text: "Unit" },
    { key: "since", text: "Since", isNumber: true },
  ], ofSource(rows.restatements), 20, "Nothing."));
  section("unpriced", "Used in this month, and in no cost", "unpriced", table("unpriced", [
    { key: "source", text: "Source" }, { key: "meter", text: "Meter" }, { key: "plan", text: "Plan" }, { key: "reason", text: "Why" },
    { key: "quantity", text: "Quantity", isNumber: true, cell: (row) => amount(row.quantity) }, { key: "unit", text: "Unit" },
  ], ofSource(rows.unpriced), 50, "All that was used has a price."));
}

function drawQueries() {
  const queries = Object.entries(sql).map(([name, text]) => make("details", { id: `sql-${name}` }, make("summary", {}, name), make("pre", {}, text)));
  section("queries", null, "", make("h2", {}, "SQL"), make("p", { class: "quiet" }, "Over the read copy, with any DuckDB client, in a session whose time zone is UTC."), ...queries);
}

function draw() {
  const things = chosen();
  drawSources(things); drawChart(things); drawDrivers(things); drawMeters(things); drawForecast(); drawBudgets(); drawAllowances(); drawAnomalies(); drawRest();
}

function begin() {
  document.getElementById("title").textContent = `${span.month.slice(0, 7)}${isWhole ? "" : ", to date"}`;
  document.getElementById("asof").textContent = `As of ${builtAt}. Costs are estimates from list prices or your own; taxes, credits and subscriptions are not in them.`;
  const fill = (id, options) => {
    const select = document.getElementById(id);
    select.append(...options.map(([value, text]) => make("option", { value }, text)));
    select.addEventListener("change", () => { filters[id] = select.value; draw(); });
  };
  const values = (key) => [["", "all"], ...[...new Set(rows.things.map((it) => it[key]).filter(Boolean))].sort().map((it) => [it, it])];
  fill("period", Object.entries(PERIODS).map(([key, { text }]) => [key, text]));
  for (const key of ["source", "org", "owner"]) fill(key, values(key));
  document.getElementById("projects").append(...values("project").slice(1).map(([value]) => make("option", { value })));
  document.getElementById("project").addEventListener("input", (event) => { filters.project = event.target.value; draw(); });
  document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("filters").addEventListener("reset", () => {
    Object.assign(filters, { period: "month", source: "", org: "", owner: "", project: "" });
    draw();
  });
  document.addEventListener("click", (event) => {
    const target = event.target.closest?.('a[href^="#sql-"]');
    if (target) document.querySelector(target.getAttribute("href")).open = true;
  });
  drawNeeds(); drawCoverage(); drawQueries(); draw();
  addEventListener("resize", () => chart.resize());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("beforeprint", draw);
}
begin();
