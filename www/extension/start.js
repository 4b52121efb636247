const NODE = "node.html";

/** Sees to it that the document in which the node lives is there. In Firefox, which has no such documents, it is the background page. */
export async function startNode() {
  if (chrome.offscreen === undefined || (await isThere())) return;
  try {
    await chrome.offscreen.createDocument({ url: NODE, reasons: ["LOCAL_STORAGE"], justification: "Keeps the notes and syncs them, also while the popup is closed." });
  } catch (error) {
    if (!(await isThere())) throw error; // somebody else was faster, and there is one at most
  }
}

async function isThere() {
  return (await chrome.runtime.getContexts({ contextTypes: ["OFFSCREEN_DOCUMENT"] })).length > 0;
}
