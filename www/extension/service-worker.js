// Chromium kills this at will, so it does no more than it must: the node begins with the browser, whether somebody opens the popup or not.
import { startNode } from "./start.js";

chrome.runtime.onInstalled.addListener(startNode);
chrome.runtime.onStartup.addListener(startNode);
