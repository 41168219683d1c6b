import { NewRulePage } from "@/features/rules/new-rule";
import { RulePage } from "@/features/rules/rule";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";

export function RuleRoute() {
  const { id } = useParams({ from: "/inside/rules/$id" });
  const search = useSearch({ from: "/inside/rules/$id" });
  const navigate = useNavigate({ from: "/rules/$id" });
  return <RulePage key={id} id={id} search={search} onSearch={(change, replace = true) => void navigate({ search: (old) => ({ ...old, ...change }), replace })} />;
}

export function NewRuleRoute() {
  const search = useSearch({ from: "/inside/rules/new" });
  const navigate = useNavigate({ from: "/rules/new" });
  return <NewRulePage search={search} onSearch={(change) => void navigate({ search: (old) => ({ ...old, ...change }), replace: true })} />;
}
