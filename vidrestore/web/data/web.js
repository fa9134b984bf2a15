
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

/* A review page in a frame says which strengths were changed; they go into the field beside it. */
window.addEventListener("message", (event) => {
  const text = event.data?.trackStrengths;
  const isReview = [...document.querySelectorAll(".vr-faces iframe")].some((each) => each.contentWindow === event.source);
  if (!isReview || typeof text !== "string" || !/^[0-9=.,]*$/.test(text)) return;
  const box = document.querySelector("#strengths textarea, #strengths input");
  box.value = text;
  box.dispatchEvent(new Event("input", { bubbles: true }));
});
