/** All workloads of the bench, in the order of the table. */

import { batchesRedis } from "./workloads/batches-redis.ts";
import { commands } from "./workloads/commands.ts";
import { delivery } from "./workloads/delivery.ts";
import { fanOut } from "./workloads/fan-out.ts";
import { getBare } from "./workloads/get-bare.ts";
import { getEtcd } from "./workloads/get-etcd.ts";
import { getRedis } from "./workloads/get-redis.ts";
import { manyKeys } from "./workloads/many-keys.ts";
import { matching } from "./workloads/matching.ts";
import { merging } from "./workloads/merging.ts";
import { putEtcd } from "./workloads/put-etcd.ts";
import { putRedis } from "./workloads/put-redis.ts";
import { rangeBare } from "./workloads/range-bare.ts";
import { startRedis } from "./workloads/start-redis.ts";
import type { Workload } from "./workload.ts";

export const workloads: readonly Workload[] = [
  getBare,
  getRedis,
  putRedis,
  putEtcd,
  getEtcd,
  batchesRedis,
  fanOut,
  matching,
  delivery,
  rangeBare,
  manyKeys,
  startRedis,
  merging,
  commands,
];
