import { Area, AreaChart, ResponsiveContainer, YAxis } from "recharts";

/** The last two minutes, one point a second. */
export default function Sparkline({ values }: { values: readonly number[] }) {
  if (values.length < 3) return null;
  return (
    <ResponsiveContainer width="100%" height="100%" initialDimension={{ width: 200, height: 44 }}>
      <AreaChart data={values.map((value, i) => ({ i, value }))} margin={{ top: 2, right: 0, bottom: 0, left: 0 }} accessibilityLayer={false}>
        <defs>
          <linearGradient id="spark" x1="0" y1="0" x2="0" y2="1">
            <stop offset="0" stopColor="var(--accent)" stopOpacity={0.3} />
            <stop offset="1" stopColor="var(--accent)" stopOpacity={0.02} />
          </linearGradient>
        </defs>
        <YAxis hide domain={[0, (max: number) => max * 1.25 || 1]} />
        <Area dataKey="value" type="monotone" stroke="var(--accent)" strokeWidth={1.5} fill="url(#spark)" isAnimationActive={false} dot={false} />
      </AreaChart>
    </ResponsiveContainer>
  );
}
