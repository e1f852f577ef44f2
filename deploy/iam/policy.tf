data "aws_iam_policy_document" "eks_nlb_exporter" {
  statement {
    sid       = "LoadBalancers"
    actions = [
      "elasticloadbalancing:DescribeLoadBalancers",
      "elasticloadbalancing:DescribeTargetGroups",
      "elasticloadbalancing:DescribeTags",
      "elasticloadbalancing:DescribeTargetHealth",
      "elasticloadbalancing:DescribeTargetGroupAttributes",
      "elasticloadbalancing:DescribeLoadBalancerAttributes",
      "elasticloadbalancing:DescribeListeners",
      "elasticloadbalancing:DescribeListenerCertificates",
      "elasticloadbalancing:DescribeListenerAttributes",
      "elasticloadbalancing:DescribeCapacityReservation",
      "elasticloadbalancing:DescribeAccountLimits",
    ]
    resources = ["*"]
  }

  statement {
    sid       = "Network"
    actions = [
      "ec2:DescribeSubnets",
      "ec2:DescribeRouteTables",
      "ec2:DescribeAvailabilityZones",
      "ec2:DescribeVpcs",
      "ec2:DescribeSecurityGroups",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeManagedPrefixLists",
      "ec2:DescribeAddresses",
    ]
    resources = ["*"]
  }

  statement {
    sid       = "Quotas"
    actions = [
      "servicequotas:ListServiceQuotas",
      "servicequotas:GetServiceQuota",
      "servicequotas:GetAWSDefaultServiceQuota",
      "servicequotas:ListRequestedServiceQuotaChangeHistory",
    ]
    resources = ["*"]
  }

  statement {
    sid       = "Cluster"
    actions = [
      "eks:DescribeCluster",
    ]
    resources = ["arn:aws:eks:*:*:cluster/*"]
  }
}
