import { Problem } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import { Field, Input } from "@/components/ui/input";
import { Choice } from "@/components/ui/menu";
import { Dialog } from "@/components/ui/overlay";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { toast } from "sonner";
import { agentsQuery, exclude, profilesQuery, routeOf, type Exclusion, type Verdict } from "../api";
import { kindName } from "../kinds";

/** Keeps one kind of finding at one place of one route from counting, in the profile that judged the request. */
export function FalsePositive({ verdict, onClose }: { verdict: Verdict; onClose: () => void }) {
  const client = useQueryClient();
  const { data: profiles, error } = useQuery(profilesQuery);
  const { data: agents } = useQuery(agentsQuery);
  const judged = agents?.items.find((a) => a.id === verdict.agent.id)?.profile_in_force.id ?? "default";
  const [chosen, setChosen] = useState<string>();
  const [index, setIndex] = useState("0");
  const [route, setRoute] = useState(routeOf(verdict));
  const [narrow, setNarrow] = useState(true);
  const found = verdict.findings[Number(index)];
  const profile = chosen ?? judged;
  const add = useMutation({
    mutationFn: (note: string) => {
      const exclusion: Exclusion = { route, class: found?.class ?? "" };
      if (narrow && found) exclusion.location = found.location;
      return exclude(profile, exclusion, note);
    },
    onSuccess: (saved) => {
      toast.success("Exclusion added", { description: `${saved.name} is at version ${saved.version}; its agents have it within a second.` });
      onClose();
      return client.invalidateQueries({ queryKey: ["web", "profiles"] });
    },
    onError: (failure) => toast.error("The exclusion was not added", { description: failure.message }),
  });
  return (
    <Dialog open onOpenChange={(open) => !open && onClose()} title="This was no attack" description="Such a finding no longer counts on this route. Everything else is inspected as before.">
      {error && <Problem error={error} />}
      <form
        className="grid gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          add.mutate(String(new FormData(event.currentTarget).get("note")).trim());
        }}
      >
        {verdict.findings.length > 1 && (
          <div className="grid gap-1.5 text-xs font-medium text-text2">
            Finding
            <Choice label="Finding" value={index} onChange={setIndex} options={verdict.findings.map((one, i) => ({ value: String(i), label: `${kindName(one.class)} at ${one.location}` }))} />
          </div>
        )}
        <Field label="Route" hint="* stands for one part of a path, ** for any number of them.">
          <Input className="mono" required value={route} onChange={(event) => setRoute(event.target.value)} />
        </Field>
        <div className="flex items-center gap-2 text-sm">
          <Checkbox label="Only at this place" checked={narrow} onChange={setNarrow} />
          <span>
            only at <span className="mono text-xs">{found?.location}</span>
          </span>
        </div>
        {profiles && profiles.items.length > 1 && (
          <div className="grid gap-1.5 text-xs font-medium text-text2">
            Profile
            <Choice label="Profile" value={profile} onChange={setChosen} options={profiles.items.map((one) => ({ value: one.id, label: one.name }))} />
          </div>
        )}
        <Field label="Why" hint="Stands in the profile's history.">
          <Input name="note" required maxLength={500} defaultValue={`false positive: ${kindName(found?.class ?? "")} at ${found?.location ?? ""}`} key={index} />
        </Field>
        <Button type="submit" variant="primary" disabled={add.isPending || !found}>
          Add the exclusion
        </Button>
      </form>
    </Dialog>
  );
}
