"""The GraphQL schema: what the SDK selects (1.2), and what the facts list beside it (2.1 to 2.3).

Names of input types are those of the vendor's published specification as far as they were seen; only they are used
by queries with variables.
"""

from __future__ import annotations

SDL = """
scalar Void
scalar DateTime

type Query {
  myself: User
  pod(input: PodFilter): Pod
  gpuTypes(input: GpuTypeFilter): [GpuType]
  dataCenters: [DataCenter]
}

type Mutation {
  podFindAndDeployOnDemand(input: PodFindAndDeployOnDemandInput): Pod
  podRentInterruptable(input: PodRentInterruptableInput!): Pod
  deployCpuPod(input: deployCpuPodInput!): Pod
  podStop(input: PodStopInput!): Pod
  podResume(input: PodResumeInput!): Pod
  podBidResume(input: PodBidResumeInput!): Pod
  podTerminate(input: PodTerminateInput!): Void
  podEditJob(input: PodEditJobInput!): Pod
  updateUserSettings(input: UpdateUserSettingsInput): User
  createNetworkVolume(input: CreateNetworkVolumeInput!): NetworkVolume
  updateNetworkVolume(input: UpdateNetworkVolumeInput!): NetworkVolume
  deleteNetworkVolume(input: DeleteNetworkVolumeInput!): Void
}

type User {
  id: String
  email: String
  pubKey: String
  clientBalance: Float
  currentSpendPerHr: Float
  spendLimit: Int
  underBalance: Boolean
  minBalance: Float
  spendDetails: SpendDetails
  pods: [Pod]
  networkVolumes: [NetworkVolume]
  datacenters: [DataCenter]
  dailyCharges: [DailyCharge]
  billing(input: UserBillingInput): UserBilling
}

type SpendDetails { localStoragePerHour: Float networkStoragePerHour: Float gpuComputePerHour: Float }
type DailyCharge { amount: Float updatedAt: DateTime diskCharges: Float podCharges: Float }
input UserBillingInput { granularity: String }
type UserBilling { gpuCloud: [GpuCharge] storage: [StorageCharge] summary: [SummaryCharge] }
type GpuCharge { gpuTypeId: String time: DateTime timeBilledSeconds: Int amount: Float }
type StorageCharge { time: DateTime amount: Float }
type SummaryCharge { time: DateTime gpuCloudAmount: Float storageAmount: Float }
type NetworkVolume { id: String name: String size: Int dataCenterId: String }

type Pod {
  id: String
  name: String
  desiredStatus: PodStatus
  lastStatusChange: String
  costPerHr: Float
  adjustedCostPerHr: Float
  uptimeSeconds: Int
  imageName: String
  dockerArgs: String
  dockerId: String
  env: [String]
  gpuCount: Int
  vcpuCount: Float
  memoryInGb: Float
  containerDiskInGb: Int
  volumeInGb: Float
  volumeMountPath: String
  networkVolumeId: String
  templateId: String
  podType: PodType
  port: Int
  ports: String
  locked: Boolean
  createdAt: DateTime
  lastStartedAt: DateTime
  lowestBidPriceToResume: Float
  machineId: String
  machine: PodMachineInfo
  runtime: PodRuntime
  latestTelemetry: PodTelemetry
}

enum PodStatus { CREATED RUNNING RESTARTING EXITED PAUSED DEAD TERMINATED }
enum PodType { RESERVED INTERRUPTABLE BID BACKGROUND }
enum CloudTypeEnum { ALL COMMUNITY SECURE }

type PodMachineInfo {
  podHostId: String
  gpuTypeId: String
  gpuDisplayName: String
  dataCenterId: String
  location: String
  secureCloud: Boolean
  supportPublicIp: Boolean
  runpodIp: String
  maintenanceStart: DateTime
  maintenanceEnd: DateTime
  maintenanceNote: String
}

type PodRuntime { container: PodRuntimeContainer gpus: [PodRuntimeGpu] ports: [PodRuntimePort] uptimeInSeconds: Int }
type PodRuntimeContainer { cpuPercent: Int memoryPercent: Int }
type PodRuntimeGpu { id: String gpuUtilPercent: Int memoryUtilPercent: Int }
type PodRuntimePort { ip: String isIpPublic: Boolean privatePort: Int publicPort: Int type: String }
type PodTelemetry { state: String time: DateTime }

type GpuType {
  id: String
  displayName: String
  memoryInGb: Int
  manufacturer: String
  cudaCores: Int
  secureCloud: Boolean
  communityCloud: Boolean
  securePrice: Float
  communityPrice: Float
  oneMonthPrice: Float
  threeMonthPrice: Float
  oneWeekPrice: Float
  communitySpotPrice: Float
  secureSpotPrice: Float
  maxGpuCount: Int
  lowestPrice(input: GpuLowestPriceInput): LowestPrice
}

type LowestPrice {
  minimumBidPrice: Float
  uninterruptablePrice: Float
  stockStatus: String
  minMemory: Int
  minVcpu: Int
  rentedCount: Int
  totalCount: Int
  rentalPercentage: Float
  maxUnreservedGpuCount: Int
  availableGpuCounts: [Int]
  countryCode: String
  supportPublicIp: Boolean
}

type DataCenter {
  id: String
  name: String
  location: String
  storageSupport: Boolean
  listed: Boolean
  gpuAvailability: [GpuAvailability]
}

type GpuAvailability { available: Boolean stockStatus: String gpuTypeId: String displayName: String }

input PodFilter { podId: String }
input GpuTypeFilter { id: String ids: [String] }
input EnvironmentVariableInput { key: String! value: String! }
input PodStopInput { podId: String! incrementVersion: Boolean }
input PodResumeInput { podId: String! gpuCount: Int syncMachine: Boolean computeType: String }
input PodBidResumeInput { podId: String! gpuCount: Int bidPerGpu: Float }
input PodTerminateInput { podId: String! }
input UpdateUserSettingsInput { pubKey: String }
input CreateNetworkVolumeInput { name: String! size: Int! dataCenterId: String! }
input UpdateNetworkVolumeInput { id: String! name: String size: Int }
input DeleteNetworkVolumeInput { id: String! }

input GpuLowestPriceInput {
  gpuCount: Int
  secureCloud: Boolean
  dataCenterId: String
  countryCode: String
  minDisk: Int
  totalDisk: Int
  minMemoryInGb: Int
  minVcpuCount: Int
  minDownload: Int
  minUpload: Int
  supportPublicIp: Boolean
  cudaVersion: String
  allowedCudaVersions: [String]
  compliance: [String]
  includeAiApi: Boolean
}

input PodEditJobInput {
  podId: String!
  dockerArgs: String
  imageName: String
  env: [EnvironmentVariableInput]
  port: Int
  ports: String
  containerDiskInGb: Int
  volumeInGb: Int
  volumeMountPath: String
}
"""

_DEPLOY = """
input %s {
  cloudType: CloudTypeEnum
  computeType: String
  gpuTypeId: String
  gpuTypeIdList: [String]
  gpuCount: Int
  name: String
  imageName: String
  templateId: String
  dockerArgs: String
  port: Int
  ports: String
  env: [EnvironmentVariableInput]
  containerDiskInGb: Int
  volumeInGb: Int
  volumeMountPath: String
  networkVolumeId: String
  dataCenterId: String
  countryCode: String
  minVcpuCount: Int
  minMemoryInGb: Int
  minDownload: Int
  minUpload: Int
  minDisk: Int
  supportPublicIp: Boolean
  startSsh: Boolean
  startJupyter: Boolean
  allowedCudaVersions: [String]
  minCudaVersion: String
  cudaVersion: String
  containerRegistryAuthId: String
  compliance: [String]
  savingsPlan: SavingsPlanInput
  stopAfter: DateTime
  terminateAfter: DateTime
  deployCost: Float
  instanceId: String
  bidPerGpu: Float
}
"""
_DEPLOY_NAMES = ("PodFindAndDeployOnDemandInput", "PodRentInterruptableInput", "deployCpuPodInput")
_PLAN = "input SavingsPlanInput { planLength: String upfrontCost: Float }\n"
FULL_SDL = SDL + _PLAN + "".join(_DEPLOY % name for name in _DEPLOY_NAMES)
