// Holds AsyncAPI documents against the specification with the official parser: prints one JSON object by file name,
// each a list of {severity, code, path, message}; ends with 1 where a document has an error or a warning.
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const SEVERITIES = ["error", "warning", "information", "hint"];
const parser = new Parser();
const found = {};
for (const file of process.argv.slice(2)) {
  const { document, diagnostics } = await parser.parse(await readFile(file, "utf8"));
  found[file] = diagnostics.map(({ severity, code, path, message }) => ({
    severity: SEVERITIES[severity],
    code: String(code),
    path: `/${path.join("/")}`,
    message,
  }));
  if (!document && diagnostics.length === 0) {
    found[file].push({ severity: "error", code: "unread", path: "/", message: "the parser made no document of it" });
  }
}
console.log(JSON.stringify(found, null, 2));
const isWrong = Object.values(found).flat().some(({ severity }) => severity === "error" || severity === "warning");
process.exitCode = isWrong || process.argv.length < 3 ? 1 : 0;
