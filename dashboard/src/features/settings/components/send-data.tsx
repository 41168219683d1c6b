import { Snippet } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { useGo } from "@/lib/go";
import { may, session } from "@/lib/session";
import { sendSnippets } from "@/lib/snippets";
import { useStore } from "@/lib/store";
import { SettingsCard } from "./settings-card";

export function SendData() {
  const go = useGo();
  const isAdmin = may(useStore(session), "admin");
  return (
    <SettingsCard
      title="Send data"
      about="Put your API key in place of erne_YOUR_KEY. An answer of 202 means that the data is safely on disk."
      aside={
        isAdmin && (
          <Button size="sm" onClick={() => go.settings("keys")}>
            Make an API key
          </Button>
        )
      }
    >
      <div className="grid min-w-0 grid-cols-[minmax(0,1fr)] gap-6">
        {sendSnippets().map((s) => (
          <section key={s.id} className="grid min-w-0 grid-cols-[minmax(0,1fr)] gap-2">
            <div>
              <h3 className="text-sm font-semibold">{s.title}</h3>
              <p className="text-xs text-text3">{s.about}</p>
            </div>
            <Snippet text={s.text} />
          </section>
        ))}
      </div>
    </SettingsCard>
  );
}
