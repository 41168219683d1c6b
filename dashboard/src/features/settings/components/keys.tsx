import { Chip, Empty, Problem, Snippet } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import { Field, Input } from "@/components/ui/input";
import { Dialog } from "@/components/ui/overlay";
import { api } from "@/lib/api";
import { sendSnippets } from "@/lib/snippets";
import { ago, dateTime } from "@/lib/time";
import type { ApiKey, Listed } from "@/lib/types";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { KeyRound, Trash2 } from "lucide-react";
import { useState } from "react";
import { toast } from "sonner";
import { SettingsCard } from "./settings-card";

const SCOPES = [
  ["ingest", "send data"],
  ["read", "read events, findings and alerts"],
  ["admin", "everything, also users and keys"],
] as const;

export function Keys() {
  const client = useQueryClient();
  const query = useQuery({ queryKey: ["keys"], queryFn: ({ signal }) => api.get<Listed<ApiKey>>("/keys", {}, signal) });
  const [making, setMaking] = useState(false);
  const remove = useMutation({
    mutationFn: (key: ApiKey) => api.delete(`/keys/${encodeURIComponent(key.id)}`),
    onSuccess: (_, key) => {
      toast.success(`Key ${key.name} revoked`);
      return client.invalidateQueries({ queryKey: ["keys"] });
    },
    onError: (error) => toast.error("The key was not revoked", { description: error.message }),
  });
  return (
    <SettingsCard
      title="API keys"
      about="For senders and scripts. A key is shown once, when it is made."
      aside={
        <Button size="sm" onClick={() => setMaking(true)}>
          <KeyRound /> New key
        </Button>
      }
    >
      {query.error && <Problem error={query.error} retry={() => void query.refetch()} />}
      {query.data?.items.length === 0 && <Empty title="No key yet">Make one with the scope “ingest” to send the first data.</Empty>}
      <ul className="divide-y">
        {query.data?.items.map((key) => (
          <li key={key.id} className="flex flex-wrap items-center gap-3 py-2 first:pt-0 last:pb-0">
            <span className="min-w-32 flex-1 truncate font-medium">{key.name}</span>
            <span className="flex gap-1">
              {key.scopes.map((scope) => (
                <Chip key={scope}>{scope}</Chip>
              ))}
            </span>
            <span className="text-xs text-text3">
              made {dateTime(key.created).slice(0, 10)} by {key.created_by} · {key.last_used ? `used ${ago(key.last_used)} ago` : "never used"}
            </span>
            <Button size="iconSm" variant="ghost" aria-label={`Revoke ${key.name}`} onClick={() => confirm(`Revoke the key ${key.name}? What sends with it is refused at once.`) && remove.mutate(key)}>
              <Trash2 />
            </Button>
          </li>
        ))}
      </ul>
      <Dialog open={making} onOpenChange={setMaking} title="New API key">
        {making && <KeyForm />}
      </Dialog>
    </SettingsCard>
  );
}

function KeyForm() {
  const client = useQueryClient();
  const [scopes, setScopes] = useState<ReadonlySet<string>>(new Set(["ingest"]));
  const make = useMutation({
    mutationFn: (name: string) => api.post<{ key: string }>("/keys", { name, scopes: [...scopes] }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["keys"] }),
    onError: (error) => toast.error("The key was not made", { description: error.message }),
  });
  if (make.data)
    return (
      <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
        <p className="text-sm text-text2">Copy it now: it is not shown again.</p>
        <div data-testid="new-key">
          <Snippet text={make.data.key} />
        </div>
        {scopes.has("ingest") && (
          <>
            <p className="text-sm text-text2">Try it:</p>
            <Snippet text={sendSnippets(make.data.key)[0]?.text ?? ""} />
          </>
        )}
      </div>
    );
  return (
    <form
      className="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        make.mutate(String(new FormData(event.currentTarget).get("name")).trim());
      }}
    >
      <Field label="Name" hint="Who uses it: a host, a script.">
        <Input name="name" required autoComplete="off" maxLength={64} />
      </Field>
      <fieldset className="grid gap-2">
        <legend className="mb-1.5 text-xs font-medium text-text2">May</legend>
        {SCOPES.map(([scope, about]) => (
          <div key={scope} className="flex items-center gap-2 text-sm">
            <Checkbox label={scope} checked={scopes.has(scope)} onChange={(on) => setScopes((old) => new Set(on ? [...old, scope] : [...old].filter((s) => s !== scope)))} />
            <span className="mono w-14">{scope}</span>
            <span className="text-text3">{about}</span>
          </div>
        ))}
      </fieldset>
      <Button type="submit" variant="primary" disabled={make.isPending || scopes.size === 0}>
        Make the key
      </Button>
    </form>
  );
}
