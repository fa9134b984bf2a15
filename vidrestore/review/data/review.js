
function listOf(rows, name) {
  return element("dl", { class: name }, ...rows.map(([label, value]) =>
    element("div", {}, element("dt", {}, label), element("dd", {}, value === "" ? "–" : value))));
}

function headOf(data) {
  const settings = element("details", {}, element("summary", {}, "Settings of the run"), listOf(data.settings, "settings"));
  return [
    element("h1", {}, data.title),
    element("p", { class: "quiet" }, "Review of a restoration: what was changed, how much, and how steadily"),
    element("section", { class: "panel synthesis", "aria-label": "what is synthetic" },
      ...data.synthesis.map((text) => element("p", {}, text))),
    listOf(data.facts, "facts"),
    settings,
  ];
}

function shotOf(shot) {
  const { width, height } = shot;
  const size = Math.max(width, height) / 26;
  const boxes = shot.boxes.map(({ track, box: [left, top, right, bottom], changed }) => {
    const label = String(track), wide = size * (0.5 + 0.65 * label.length);
    const x = Math.min(Math.max(0, left), width - wide), y = Math.min(Math.max(0, top), height - size * 1.3);
    return shape("g", changed ? {} : { class: "untouched" },
      shape("rect", { x: left, y: top, width: right - left, height: bottom - top }),
      shape("rect", { class: "plate", x, y, width: wide, height: size * 1.3 }),
      shape("text", { x: x + size * 0.25, y: y + size, "font-size": size }, label));
  });
  const tracks = shot.boxes.map((each) => each.track).join(", ");
  const image = element("img", { src: shot.picture, width, height, alt: "shot " + shot.shot + " in the result" });
  return element("figure", {},
    element("div", { class: "view" }, image, shape("svg", { viewBox: "0 0 " + width + " " + height, "aria-hidden": "true" }, ...boxes)),
    element("figcaption", {}, "shot " + shot.shot + " at " + clock(shot.seconds) + (shot.boxes.length > 1 ? ", tracks " : ", track ") + tracks));
}

function commandOf(track, shown) {
  const button = element("button", { type: "button", "aria-label": "copy the command for track " + track.number }, "copy");
  button.addEventListener("click", () => copied(track.command, button));
  return element("div", { class: "command" }, element("code", { title: track.command }, shown), button);
}

function reasonsOf(track) {
  return track.reasons.map(([reason, count]) => reason + " (" + count + ")").join(", ") || "–";
}

function tableOf(tracks) {
  const columns = [["track", 1], ["shot", 1], ["from", 1], ["to", 1], ["frames", 1], ["changed", 1], ["size", 1],
    ["similarity", 1], ["strength", 1], ["reason for lower strength", 0], ["rerun this track", 0]];
  const head = columns.map(([name, number]) => element("th", number ? { class: "number", scope: "col" } : { scope: "col" }, name));
  const rows = tracks.map((track) => {
    const name = track.shown ? element("a", { href: "#track-" + track.number }, String(track.number)) : String(track.number);
    const numbers = [name, track.shot, clock(track.first), clock(track.last), track.frames, track.changed,
      shownNumber(track.side) + " px", shownNumber(track.similarity), shownNumber(track.strength)];
    return element("tr", {},
      ...numbers.map((value) => element("td", { class: "number" }, typeof value === "number" ? String(value) : value)),
      element("td", { class: "reasons" }, reasonsOf(track)),
      element("td", {}, commandOf(track, "--only-track " + track.number)));
  });
  return element("div", { class: "panel scroll", tabindex: "0", role: "region", "aria-label": "table of tracks" },
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)));
}

function captionOf(frame) {
  const parts = ["frame " + frame.frame + " at " + clock(frame.seconds), "face " + shownNumber(frame.side) + " px"];
  if (frame.similarity !== null) parts.push("identity similarity " + shownNumber(frame.similarity));
  parts.push("strength " + shownNumber(frame.strength), "mean change " + shownNumber(frame.change) + " of 255");
  return parts.join(" · ");
}

function trackOf(track, marks, strengths) {
  const frames = track.shown.map((frame) => ({ ...frame, label: frame.roles.join(", "), caption: captionOf(frame) }));
  const viewer = new Viewer(frames, { name: "track " + track.number, marks, onShow: (frame) => charts.show(frame) });
  const charts = new TrackCharts(track, (frame) => viewer.show(track.shown.indexOf(frame)));
  const told = ["shot " + track.shot, clock(track.first) + " to " + clock(track.last),
    track.changed + " of " + track.frames + " frames changed", "mean size " + shownNumber(track.side) + " px"];
  const node = element("section", { class: "panel track", id: "track-" + track.number },
    element("header", {}, element("h3", {}, "Track " + track.number), element("span", { class: "quiet small" }, told.join(" · "))),
    element("div", { class: "body" }, viewer.node, charts.node),
    element("footer", {}, strengths.sliderOf(track), commandOf(track, track.command)));
  if (track.reasons.length)
    node.querySelector("footer").prepend(element("p", { class: "small quiet" }, "Taken less, or left alone: " + reasonsOf(track)));
  viewer.show(Math.max(0, track.shown.findIndex((frame) => frame.roles.includes("typical"))));
  return node;
}

function build(data) {
  document.title = "Review of " + data.title;
  const shown = data.tracks.filter((track) => track.shown);
  const parts = headOf(data);
  if (data.shots.length) parts.push(element("h2", {}, "Shots"), element("div", { class: "shots" }, ...data.shots.map(shotOf)));
  if (data.tracks.length) {
    const hint = "“copy” takes the whole command that restores one track alone, with the settings of this run; run it where this page was made.";
    parts.push(element("h2", {}, "Tracks"), tableOf(data.tracks), element("p", { class: "quiet small hint" }, hint));
  }
  else parts.push(element("p", { class: "quiet" }, "No faces were found."));
  if (shown.length) parts.push(element("h2", {}, "Before and after"));
  if (shown.length < data.tracks.length)
    parts.push(element("p", { class: "quiet" }, "Pictures and curves are of the " + shown.length + " tracks with the most changed frames, at most " +
      data.limits.tracks + "; shots are at most " + data.limits.shots + ". The table has every track."));
  const marks = new Marks(), strengths = new Strengths(data);
  parts.push(...shown.map((track) => trackOf(track, marks, strengths)));
  if (shown.length) parts.push(element("h2", {}, "Strengths"), strengths.node);
  if (shown.length) parts.push(element("h2", {}, "Marks"), element("div", { class: "panel" }, marks.node));
  document.getElementById("page").replaceChildren(...parts);
}

build(JSON.parse(document.getElementById("data").textContent));
