import { Snippet } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { useGo } from "@/lib/go";
import { sendSnippets } from "@/lib/snippets";

/** What a fresh instance shows: how to get the first event in. */
export function FirstData() {
  const go = useGo();
  const [first] = sendSnippets();
  return (
    <div className="mx-auto grid max-w-2xl grid-cols-[minmax(0,1fr)] gap-4 p-6 pt-16">
      <h2 className="text-xl font-semibold">Waiting for the first event</h2>
      <p className="text-text2">
        Make an API key with the scope <span className="mono">ingest</span> under Settings, put it into this line, and run it in a terminal. This page fills by itself.
      </p>
      {first && <Snippet text={first.text} />}
      <p className="text-text2">No data at hand? This makes some, attacks included:</p>
      <Snippet text="erne demo" />
      <div className="flex gap-2">
        <Button variant="primary" onClick={() => go.settings("keys")}>
          Make an API key
        </Button>
        <Button onClick={() => go.settings("send")}>More ways to send data</Button>
      </div>
    </div>
  );
}
