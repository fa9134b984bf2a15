
/* Makes a viewer of every element that stands for one; Gradio puts them in and takes them out. */
const pageMarks = new Marks();

function buildViewers() {
  for (const place of document.querySelectorAll(".vr-viewer:not([data-built])")) {
    place.dataset.built = "";
    const frames = JSON.parse(place.dataset.frames);
    const viewer = new Viewer(frames, { name: place.dataset.name, marks: pageMarks, loopMilliseconds: 200 });
    place.replaceChildren(viewer.node, pageMarks.node);
    viewer.show(0);
  }
}

new MutationObserver(buildViewers).observe(document.documentElement, { childList: true, subtree: true });
