// Writes the types of the running server's OpenAPI document to src/lib/openapi.gen.ts, to be compared
// with the hand-written src/lib/types.ts. Usage: ERNE_URL=http://127.0.0.1:8440 npm run types
import { writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const base = process.env.ERNE_URL ?? "http://127.0.0.1:8440";
const nodes = await openapiTS(new URL("/api/openapi.json", base));
const target = new URL("../src/lib/openapi.gen.ts", import.meta.url);
await writeFile(target, astToString(nodes));
console.log(`wrote ${target.pathname}`);
