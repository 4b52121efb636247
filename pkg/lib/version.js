/** The version of the package: pages and workers that share a node have to have the same. */
export const VERSION = "0.1.0";
