// What `cargo xtask` tells the scripts: where the site is served, and which programs to run.

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests with \`cargo xtask test\``);
  return value;
}

/** URL of the served site, with a slash at its end. */
export const site = () => required("OSIER_SITE");
/** Path of the native program `osier`. */
export const program = () => required("OSIER_PROGRAM");
/** Path of Chromium. */
export const chromiumPath = () => required("OSIER_CHROMIUM");
/** Folder of the unpacked npm package. */
export const packageFolder = () => required("OSIER_PACKAGE");
/** The tarball that npm packed. */
export const tarball = () => required("OSIER_TARBALL");
/** Folder of the extension as it is loaded. */
export const extensionFolder = () => required("OSIER_EXTENSION");
