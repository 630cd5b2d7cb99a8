// Runs everything.py in Pyodide under Node: node pyodide.mjs PYODIDE REPOSITORY PACKAGES, three folders.
// PACKAGES is put on Python's path: the packages that are nothing but Python.
import { pathToFileURL } from "node:url";

const [pyodide, repository, packages] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${pyodide}/pyodide.mjs`));
const python = await loadPyodide({ env: { HOME: "/home/pyodide" } });
await python.loadPackage("numpy", { messageCallback: () => {} });
for (const [place, root] of [["/repository", repository], ["/packages", packages]]) {
    python.FS.mkdirTree(place);
    python.FS.mount(python.FS.filesystems.NODEFS, { root }, place);
}
try {
    python.runPython(`
        import runpy, sys
        sys.path[:0] = ["/repository", "/packages"]
        runpy.run_path("/repository/tests/support/webassembly/everything.py", run_name="__main__")
    `);
} catch (error) {
    console.error(error.message);
    process.exit(1);
}
