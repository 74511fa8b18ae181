// Parse each diagram of a JSON list (on standard input) with every Mermaid that is installed.
// Prints {version: [null, or the first line of the error, for each diagram]}.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import vm from "node:vm";

const modules = path.resolve(process.argv[2]);
const { JSDOM } = createRequire(path.join(modules, "any.js"))("jsdom");
const diagrams = JSON.parse(readFileSync(0, "utf8"));
const results = {};
for (const name of readdirSync(modules).filter((name) => name.startsWith("mermaid-"))) {
  const page = new JSDOM("<!doctype html><body></body>", { runScripts: "outside-only" });
  page.window.structuredClone ??= structuredClone;
  const code = readFileSync(path.join(modules, name, "dist", "mermaid.min.js"), "utf8");
  new vm.Script(code).runInContext(page.getInternalVMContext());
  results[name] = [];
  for (const diagram of diagrams) {
    try {
      await page.window.mermaid.parse(diagram);
      results[name].push(null);
    } catch (error) {
      results[name].push(String(error.message ?? error).split("\n")[0]);
    }
  }
  page.window.close();
}
process.stdout.write(JSON.stringify(results));
